"""From the states of a draft block to draft tokens, one after the other.

The plain states give each position its `candidates` best tokens; the sequential head then goes through the
block, sees each token picked, and reorders the candidates of the next position. Tokens already known (the
block's visible token, what the AR head has decided since) are fed to it first, so a corrected token repairs
the rest of a block without another pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from model.request import GenerateRequest
from model.runner import Runner
from model.sampling import gumbel, keep_top_p


class Drafter:
    """limit: ids from here on (MASK and unused rows) are never drafted."""

    def __init__(self, runner: Runner, limit: int) -> None:
        self._runner, self.limit = runner, limit
        heads, base = runner.heads, runner.base
        self._candidates = heads.config.candidates if heads is not None else 1
        self._vocab = runner.draft_vocab(limit)
        self._weight = base.head_weight()
        self._sequential = heads.sequential if heads is not None else None
        if self._sequential is not None and not bool(self._sequential.out.any()):
            self._sequential = None  # untrained: it adds nothing
        if self._sequential is not None:
            dtype = base.dtype
            self._from_state, self._from_token = self._sequential.mix.to(dtype).chunk(2, dim=1)
            self._carry = self._sequential.carry.to(dtype)
            self._out = self._sequential.out.to(dtype)

    @torch.inference_mode()
    def propose(
        self, h_BD: torch.Tensor, known: Sequence[int], position: int, request: GenerateRequest
    ) -> list[int]:
        """Draft tokens that follow `known`, the tokens at the block's first positions (at least one).

        h_BD: the block's states, state i predicts position i + 1. position: absolute position of the first
        drafted token. As many tokens come back as states from the last known one on.
        """
        return self.draft(h_BD, known, position, request)[0]

    @torch.inference_mode()
    def draft(
        self, h_BD: torch.Tensor, known: Sequence[int], position: int, request: GenerateRequest
    ) -> tuple[list[int], list[float], torch.Tensor]:
        """`propose`, with the log probability of each token among its candidates, and those of all
        candidates [count, C].
        """
        first = len(known) - 1
        ids_BC, scores_BC = self._top(h_BD[first:])
        count = ids_BC.shape[0]
        noise = None
        if request.temperature > 0:
            positions = torch.arange(position, position + count, device=h_BD.device)
            noise = gumbel(request.seed, positions, ids_BC)
        if self._sequential is None:
            picked = self._pick(scores_BC, request, noise)
        else:
            picked, scores_BC = self._in_sequence(h_BD, known, ids_BC, scores_BC, request, noise)
        log_BC = scores_BC.log_softmax(-1)
        tokens: list[int] = ids_BC.gather(-1, picked[:, None])[:, 0].tolist()
        logs: list[float] = log_BC.gather(-1, picked[:, None])[:, 0].tolist()
        return tokens, logs, log_BC

    def _top(self, h_TD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Candidate ids and logits [T, C], best first."""
        logits = self._vocab.logits(h_TD)
        scores, index = logits.topk(min(self._candidates, logits.shape[-1]), -1)
        return self._vocab.ids[index], scores

    def _pick(
        self, scores: torch.Tensor, request: GenerateRequest, noise: torch.Tensor | None
    ) -> torch.Tensor:
        """Index of the candidate of each row, with the noise that the AR head will use for the position."""
        if noise is None:
            return scores.argmax(-1)
        return (keep_top_p(scores / request.temperature, request.top_p) + noise).argmax(-1)

    def _in_sequence(
        self,
        h_BD: torch.Tensor,
        known: Sequence[int],
        ids_BC: torch.Tensor,
        scores_BC: torch.Tensor,
        request: GenerateRequest,
        noise: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidate picked at each position [count], and all candidates' scores [count, C]."""
        states_BW = F.linear(_norm(h_BD), self._from_state)
        rows_BCD = self._weight[ids_BC]
        first = len(known) - 1
        r = states_BW.new_zeros(states_BW.shape[1])
        drafted: list[int] = []
        picked: list[int] = []
        scored: list[torch.Tensor] = []
        for i in range(h_BD.shape[0]):
            token = known[i] if i <= first else drafted[-1]
            seen = F.linear(_norm(self._runner.base.embedding[token]), self._from_token)
            r = F.silu(states_BW[i] + seen + F.linear(_norm(r), self._carry))
            if i < first:
                continue
            j = i - first
            refined = scores_BC[j] + (rows_BCD[j] @ F.linear(r, self._out)).float()
            row = noise[j : j + 1] if noise is not None else None
            picked.append(int(self._pick(refined[None], request, row)))
            scored.append(refined)
            drafted.append(int(ids_BC[j, picked[-1]]))
        return torch.tensor(picked, device=h_BD.device), torch.stack(scored)


def _norm(x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6).to(x.dtype)
