"""What whole steps on a device draft from: matrices of the heads."""

from __future__ import annotations

import torch

from model.cuda import CudaRunner
from model.drafter import _norm
from model.kernels.linear import linear


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
