"""The on-policy term: raise the probability of what good rollouts showed, lower that of bad ones.

`surrogate`: the clipped policy gradient (PPO, arXiv 1707.06347; advantages within a task as in GRPO, arXiv
2402.03300) over the choices of each pass, with Seed Diffusion's length surrogate in the reward (arXiv
2508.02193). Clipping bounds how far rollouts that are some steps old can push. `best_of_k`: cross-entropy.
"""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

CHUNK = 1024
"""States whose logits are held at once."""


def loss(
    h_SD: torch.Tensor,
    output_VD: torch.Tensor,
    chosen_S: torch.Tensor,
    weight_S: torch.Tensor,
    old_S: torch.Tensor,
    *,
    clip: float,
    mass: torch.Tensor,
) -> torch.Tensor:
    """The sum over states, divided by `mass` (their number, averaged over the processes of a run). chosen:
    index of each state's token in `output`; old: its probability in the rollout; clip 0: plain
    cross-entropy."""
    parts = [torch.split(x, CHUNK) for x in (h_SD, chosen_S)]
    log_p = [
        checkpoint(_log_p, h, output_VD, chosen, use_reentrant=False)
        for h, chosen in zip(*parts, strict=True)
    ]
    return objective(torch.cat(log_p), weight_S, old_S, clip).sum() / mass


def objective(
    log_p_S: torch.Tensor, weight_S: torch.Tensor, old_S: torch.Tensor, clip: float
) -> torch.Tensor:
    """Of each state, to be made small."""
    if not clip:
        return -weight_S * log_p_S
    ratio_S = (log_p_S - old_S.clamp_min(1e-6).log()).clamp_max(20).exp()
    limited_S = ratio_S.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio_S * weight_S, limited_S * weight_S)


def _log_p(h_SD: torch.Tensor, output_VD: torch.Tensor, chosen_S: torch.Tensor) -> torch.Tensor:
    logits_SV = (h_SD @ output_VD.T).float()
    return logits_SV.gather(-1, chosen_S[:, None])[:, 0] - logits_SV.logsumexp(-1)
