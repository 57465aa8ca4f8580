"""What whole steps on a device draft from: matrices of the heads, the best of many scores, where siblings
promise most.
"""

from __future__ import annotations

import torch

from model.cuda import CudaRunner
from model.drafter import _norm
from model.kernels.linear import linear
from model.plan import SIBLING


class DraftParts:
    """What every VerifiedStep reads of the heads: rows of the draft vocabulary, the sequential head's
    matrices, the MASK vector. limit: ids from here on are never drafted.
    """

    def __init__(self, runner: CudaRunner, limit: int) -> None:
        heads, base = runner.heads, runner.base
        assert heads is not None
        assert heads.sequential is not None
        vocab, weight = heads.draft_vocab, base.head_weight()
        if vocab.numel():
            self.vocab = vocab[vocab < limit]
            self.rows = weight[self.vocab]
        else:
            self.vocab = torch.arange(limit, device=runner.device)
            self.rows = weight[:limit]
        sequential, dtype, space = heads.sequential, base.dtype, runner.space
        self.state, self.token = (part.contiguous() for part in sequential.mix.to(dtype).chunk(2, 1))
        self.carry = sequential.carry.to(dtype).contiguous()
        # Of every token that can be drafted, once: its share of the recurrent input when it was picked, and
        # its output row seen through the head.
        self.of_candidate = linear(_norm(base.embedding[self.vocab]), self.token, space)
        self.view = linear(self.rows, sequential.out.to(dtype).t().contiguous(), space)
        self.mask = heads.mask.to(dtype)
        self.candidates = heads.config.candidates


def best_of(scores_BV: torch.Tensor, count: int, parts: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """topk(count) of each row, first within `parts` equal parts: torch gives a whole row to one block of
    threads."""
    B, V = scores_BV.shape
    if V % parts or count > V // parts:
        return scores_BV.topk(count, -1)
    some_BPC, within = scores_BV.view(B, parts, -1).topk(count, -1)
    place = within + torch.arange(0, V, V // parts, device=scores_BV.device)[:, None]
    best, which = some_BPC.flatten(1).topk(count, -1)
    return best, place.flatten(1).gather(1, which)


def promises(sure_B2: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """`model.drafter.sibling_places` on the device: the gain [B] of a sibling at each block position from
    `first` on; 0 before it.
    """
    place = torch.arange(len(sure_B2), device=sure_B2.device)
    best, second = torch.where((place >= first)[:, None], sure_B2, 1.0).unbind(1)
    reach = best.cumprod(0)
    behind = torch.where(place >= first, reach, 0.0).sum() - torch.where(place >= first, reach, 0.0).cumsum(0)
    run = (behind / reach.clamp_min(1e-30)).clamp_max(SIBLING - 1)
    before = torch.cat((reach.new_ones(1), reach[:-1]))
    return torch.where(place >= first, before * second * (1 + run), 0.0)
