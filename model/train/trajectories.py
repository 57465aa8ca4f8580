"""Decoding trajectories of the present heads: in which order do they reveal a block?

    revealed_RKB, likelihood_RK = sample(forward, t, cache, blocks, passes, samples, generator)

A trajectory starts from a block whose first token is visible. Each pass predicts all masked positions; those
of which the model is surest, its confidence perturbed by Gumbel noise, are revealed, with their true tokens,
until none is masked. The likelihood of a trajectory is that of the truth under the states at which its
tokens were revealed: the evidence bound of that order. Of several the best one is kept, block by block (Seed
Diffusion, arXiv 2508.02193, section on constrained order). `model.train.objectives.order` learns from it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from model.train.attention import Cache
from model.train.tensors import Tensors

if TYPE_CHECKING:
    from model.train.forward import PackedForward

THRESHOLD = 0.9
"""Confidence from which a position is revealed at once, as decoders do."""
NOISE = 0.3
"""Scale of the Gumbel noise on log-confidences: what makes trajectories of one block differ."""


@torch.no_grad()
def sample(
    forward: PackedForward,
    t: Tensors,
    cache: Cache,
    blocks: slice,
    *,
    passes: int,
    samples: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Trajectories of blocks `blocks` of a batch whose clean tokens are in `cache`.

    Returns revealed [R, K, B], the pass (from 1, at most `passes`) after which each token is visible (0: from
    the start; `passes` + 1: its true token is unknown), and the log-likelihood [R, K] of the best of
    `samples` trajectories. generator: on the CPU, so that a seed gives the same order on any device.
    """
    truth_RKB = t.truth_RNB[:, blocks]
    known_RKB = torch.zeros_like(truth_RKB, dtype=torch.bool)
    known_RKB[..., 1:] = t.target_RNB[:, blocks, :-1] >= 0
    part = Tensors.like(t, anchor_RN=t.anchor_RN[:, blocks], begin_RN=t.begin_RN[:, blocks])
    best: tuple[torch.Tensor, torch.Tensor] | None = None
    for _ in range(samples):
        revealed, likelihood = _one(forward, part, cache, truth_RKB, known_RKB, passes, generator)
        if best is None:
            best = revealed, likelihood
        else:
            better = likelihood > best[1]
            best = torch.where(better[..., None], revealed, best[0]), torch.where(better, likelihood, best[1])
    assert best is not None, "samples is at least 1"
    return best


def _one(
    forward: PackedForward,
    t: Tensors,
    cache: Cache,
    truth_RKB: torch.Tensor,
    known_RKB: torch.Tensor,
    passes: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    R, K, B = truth_RKB.shape
    mask_id = forward.heads.mask_id or 0
    revealed = torch.full_like(truth_RKB, passes + 1)
    revealed[..., 0] = 0
    likelihood = torch.zeros(R, K, device=truth_RKB.device)
    for number in range(1, passes + 1):
        masked = known_RKB & (revealed > passes)
        shown = Tensors.like(t, draft_ids_RNB=torch.where(revealed <= passes, truth_RKB, mask_id))
        states = forward.draft(shown, cache, eager=True).view(R, K, B, -1)
        sure, of_truth = _confidence(forward, states[:, :, :-1], truth_RKB[..., 1:])
        noise = -torch.log(-torch.log(t.noise(K, B - 1, generator=generator).clamp(1e-6, 1 - 1e-6)))
        score = torch.full((R, K, B), -math.inf, device=sure.device)
        score[..., 1:] = sure + NOISE * noise.to(sure.device)
        score = score.masked_fill(~masked, -math.inf)
        # At least an even share of what is left, so that the last pass has no more to do than the others.
        left = masked.sum(-1, keepdim=True)
        least = -(-left // (passes - number + 1))
        rank = score.argsort(-1, descending=True).argsort(-1)
        chosen = masked & ((rank < least) | (score >= math.log(THRESHOLD)))
        revealed = torch.where(chosen, number, revealed)
        likelihood += (of_truth * chosen[..., 1:]).sum(-1)
    return revealed, likelihood


def _confidence(
    forward: PackedForward, h_RKBD: torch.Tensor, truth_RKB: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each state's best token and of the true one [R, K, B]; a true token outside the
    draft vocabulary counts as the least likely one. Rows apart: all logits at once would be large."""
    sure, of_truth = [], []
    for h_KBD, truth_KB in zip(h_RKBD, truth_RKB, strict=True):
        log_p = (h_KBD @ forward.draft_output_VD.T).float().log_softmax(-1)
        index = forward.index_of_V[truth_KB]
        found = log_p.gather(-1, index.clamp_min(0)[..., None])[..., 0]
        sure.append(log_p.amax(-1))
        of_truth.append(torch.where(index >= 0, found, log_p.amin(-1)))
    return torch.stack(sure), torch.stack(of_truth)
