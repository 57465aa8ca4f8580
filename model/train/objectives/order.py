"""Constrained order and trajectory distillation: learn what the best decoding trajectory reveals next.

A point of the trajectory is drawn evenly; what was revealed by then is visible, and the loss is on what the
next `horizon` passes revealed. Tokens that the trajectory leaves for later carry none: an order in which they
cannot be known yet is not learned (Seed Diffusion, arXiv 2508.02193). A horizon above 1 asks one pass for
what took several, which is how trajectories get shorter (dFactory's trajectory compression).
"""

from __future__ import annotations

import torch


def states(
    revealed_RKB: torch.Tensor, passes: int, horizon: int, drawn_RK: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(visible [R, K, B], weight [R, K, B]) of a point drawn on each trajectory (`model.train.trajectories`:
    revealed holds passes, 0 for what was visible before; drawn [R, K]: uniform
    in [0, 1)). A state predicts the token after its own."""
    last_RK = torch.where(revealed_RKB <= passes, revealed_RKB, 0).amax(-1).clamp_min(1)
    drawn_RK = drawn_RK.to(revealed_RKB.device)
    at_RK1 = (drawn_RK * last_RK).long().clamp_max(last_RK - 1)[..., None]  # passes done: 0 .. last - 1
    next_RKB = (revealed_RKB > at_RK1) & (revealed_RKB <= (at_RK1 + horizon).clamp_max(passes))
    weight_RKB = torch.zeros(revealed_RKB.shape, device=revealed_RKB.device)
    weight_RKB[..., :-1] = next_RKB[..., 1:].float()
    return revealed_RKB <= at_RK1, weight_RKB
