"""From the states of a draft block to draft tokens, one after the other.

The plain states give each position its `candidates` best tokens; the sequential head then goes through the
block, sees each token picked, and reorders the candidates of the next position. Tokens already known (the
block's visible token, what the AR head has decided since) are fed to it first, so a corrected token repairs
the rest of a block without another pass.

Where the second best token of a position is likely, a draft has a sibling: that token and what the
sequential head says behind it, verified in the same pass (a draft tree of depth one; trees: SpecInfer,
arXiv 2305.09781). One more token is often all that was wrong: docs/log.md.
"""

from __future__ import annotations

# ruff: noqa: N815 - shape suffixes carry capitals, in fields as in variables
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from model.plan import SIBLING
from model.request import GenerateRequest
from model.runner import Runner
from model.sampling import gumbel, keep_top_p


@dataclass(frozen=True, slots=True)
class Sibling:
    """at: the place in the draft whose token it replaces; ids: its own token there and what may follow."""

    at: int
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """siblings: those that promise most first."""

    ids: list[int]
    siblings: tuple[Sibling, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Of N positions to draft: the block's states up to there [.., D], those of known tokens before them
    included; the best tokens of each position and their plain logits [N, C], best first; noise."""

    h_BD: torch.Tensor
    ids_NC: torch.Tensor
    scores_NC: torch.Tensor
    noise_NC: torch.Tensor | None

    def part(self, start: int, stop: int) -> _Candidates:
        """Of positions start..stop only."""
        here = slice(start, stop)
        noise = self.noise_NC[here] if self.noise_NC is not None else None
        before = len(self.h_BD) - len(self.ids_NC)
        return _Candidates(self.h_BD[: before + stop], self.ids_NC[here], self.scores_NC[here], noise)


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
        self,
        h_BD: torch.Tensor,
        known: Sequence[int],
        position: int,
        request: GenerateRequest,
        siblings: int = 0,
    ) -> Proposal:
        """Draft tokens that follow `known`, the tokens at the block's first positions (at least one), and up
        to so many siblings.

        h_BD: the block's states, state i predicts position i + 1. position: absolute position of the first
        drafted token. As many tokens come back as states from the last known one on.
        """
        found = self._candidates_of(h_BD, known, position, request)
        ids, _, scores_NC = self._choose(found, known, request)
        if not siblings or scores_NC.shape[1] < 2:
            return Proposal(ids)
        sure_N2, best_N2 = self._drawn(scores_NC, request, found.noise_NC).softmax(-1).topk(2, -1)
        made = []
        for at in sibling_places(sure_N2, siblings):
            second = int(found.ids_NC[at, best_N2[at, 1]])
            behind = found.part(at + 1, at + SIBLING)
            tail = self._choose(behind, [*known, *ids[:at], second], request)[0]
            made.append(Sibling(at, (second, *tail)))
        return Proposal(ids, tuple(made))

    @torch.inference_mode()
    def draft(
        self, h_BD: torch.Tensor, known: Sequence[int], position: int, request: GenerateRequest
    ) -> tuple[list[int], list[float], torch.Tensor]:
        """The tokens of `propose`, with the log probability of each among its candidates, and those of all
        candidates [count, C].
        """
        found = self._candidates_of(h_BD, known, position, request)
        ids, picked_N, scores_NC = self._choose(found, known, request)
        log_NC = scores_NC.log_softmax(-1)
        return ids, log_NC.gather(-1, picked_N[:, None])[:, 0].tolist(), log_NC

    def _candidates_of(
        self, h_BD: torch.Tensor, known: Sequence[int], position: int, request: GenerateRequest
    ) -> _Candidates:
        logits = self._vocab.logits(h_BD[len(known) - 1 :])
        scores_NC, index = logits.topk(min(self._candidates, logits.shape[-1]), -1)
        ids_NC = self._vocab.ids[index]
        noise_NC = None
        if request.temperature > 0:
            positions = torch.arange(position, position + len(ids_NC), device=h_BD.device)
            noise_NC = gumbel(request.seed, positions, ids_NC)
        return _Candidates(h_BD, ids_NC, scores_NC, noise_NC)

    def _choose(
        self, found: _Candidates, known: Sequence[int], request: GenerateRequest
    ) -> tuple[list[int], torch.Tensor, torch.Tensor]:
        """Tokens of all positions, their indices [N] among the candidates, and all candidates' scores."""
        ids_NC, scores_NC = found.ids_NC, found.scores_NC
        if self._sequential is None or not len(ids_NC):
            picked_N = self._drawn(scores_NC, request, found.noise_NC).argmax(-1)
        else:
            picked_N, scores_NC = self._in_sequence(found, known, request)
        return ids_NC.gather(-1, picked_N[:, None])[:, 0].tolist(), picked_N, scores_NC

    def _drawn(
        self, scores: torch.Tensor, request: GenerateRequest, noise: torch.Tensor | None
    ) -> torch.Tensor:
        """Scores whose largest is the choice, with the noise that the AR head will use for the position."""
        if noise is None:
            return scores
        return keep_top_p(scores / request.temperature, request.top_p) + noise

    def _in_sequence(
        self, found: _Candidates, known: Sequence[int], request: GenerateRequest
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidate picked at each position [N], and all candidates' scores [N, C]."""
        h_BD, ids_NC, noise_NC = found.h_BD, found.ids_NC, found.noise_NC
        states_BW = F.linear(_norm(h_BD), self._from_state)
        rows_NCD = self._weight[ids_NC]
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
            refined = found.scores_NC[j] + (rows_NCD[j] @ F.linear(r, self._out)).float()
            row = noise_NC[j : j + 1] if noise_NC is not None else None
            picked.append(int(self._drawn(refined[None], request, row).argmax(-1)))
            scored.append(refined)
            drafted.append(int(ids_NC[j, picked[-1]]))
        return torch.tensor(picked, device=h_BD.device), torch.stack(scored)


def sibling_places(sure_N2: torch.Tensor, count: int) -> list[int]:
    """The `count` best places for a sibling that promise anything, best first; `sure` as for `promises`."""
    gain, place = promises(sure_N2).topk(min(count, len(sure_N2)))
    return place[gain > 0].tolist()


def promises(sure_B2: torch.Tensor, first: torch.Tensor | int = 0) -> torch.Tensor:
    """What a sibling at each position of a block promises, in tokens [B]; 0 before position `first`. sure:
    the probability of each position's best and second best token.

    A sibling pays when all tokens before it are right, its place's best is wrong and its own right: then it
    adds itself and what is right behind it.
    """
    place = torch.arange(len(sure_B2), device=sure_B2.device)
    best, second = torch.where((place >= first)[:, None], sure_B2, 1.0).unbind(1)
    reach = best.cumprod(0)
    drafted = torch.where(place >= first, reach, 0.0)
    run = ((drafted.sum() - drafted.cumsum(0)) / reach.clamp_min(1e-30)).clamp_max(SIBLING - 1)
    before = torch.cat((reach.new_ones(1), reach[:-1]))
    return torch.where(place >= first, before * second * (1 + run), 0.0)


def _norm(x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6).to(x.dtype)
