"""Whole steps on the device: one CUDA graph replay and one small copy back a step.

`ArStep`: embed, pass, output head, arg max, advance. `VerifiedStep`: build the line and its blocks, pass,
verify, find the block that hangs at the end of acceptance, draft from it in sequence, advance. Greedy; same
kernels as CudaRunner, so same tokens. The shape of a VerifiedStep (masks, points) is fixed; shorter drafts
are padded with -1, which nothing equals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from model.cuda import CudaRunner
from model.drafter import _norm
from model.errors import NumericsError
from model.graphs import capture
from model.kernels.linear import linear
from model.kernels.sequence import draft_in_sequence
from model.roles import Role
from model.sampling import NOT_FINITE, logprob


class ArStep:
    def __init__(self, runner: CudaRunner, reach: int) -> None:
        self._runner, self._reach = runner, reach
        device = runner.device
        self.token = torch.zeros(1, dtype=torch.int64, device=device)
        # What comes back in one copy: the token, its log probability, the largest logit (NaN shows there).
        self._out = torch.zeros(3, dtype=torch.float64, device=device)
        self._fields = torch.zeros(4, 1, dtype=torch.int32, device=device)
        length = runner.device_length.clone()
        with torch.inference_mode():
            self._replay = capture(self._body, device)
        runner.device_length.copy_(length)

    def _body(self) -> None:
        runner = self._runner
        self._fields[1].copy_(runner.device_length)
        head = runner.head_of.get(Role.CLEAN)
        route = [] if head is None else [(0, 1, head)]
        x = F.embedding(self.token, runner.base.embedding)
        states = runner.forward(x, self._fields, route, self._reach)
        logits = linear(states, runner.base.head_weight(), runner.space)
        self.token.copy_(logits.argmax(-1))
        self._out[:1].copy_(self.token)
        self._out[1:2].copy_(logprob(logits, self.token))
        self._out[2:].copy_(logits.amax(-1))
        runner.device_length.add_(1)

    def start(self, token: int, length: int) -> None:
        self.token.fill_(token)
        self._runner.device_length.fill_(length)

    def step(self) -> tuple[int, float]:
        """The next token and its log probability. The cache on the device is one longer; the caller's
        `length` is not. Raises NumericsError for NaN logits.
        """
        self._replay()
        token, log, top = self._out.tolist()
        if not math.isfinite(top):
            raise NumericsError(NOT_FINITE)
        return int(token), log


@dataclass(frozen=True, slots=True)
class Verified:
    """ids: the accepted draft and the AR head's own next token, all final; logs: their log probabilities."""

    ids: list[int]
    logs: list[float]
    draft: list[int]


class VerifiedStep:
    """masks: of each block, and the longest draft. points: acceptance points with a block, 0 among them."""

    def __init__(self, runner: CudaRunner, masks: int, points: Sequence[int], limit: int, reach: int) -> None:
        assert runner.heads is not None
        assert points[0] == 0
        self._runner, self._heads, self._reach, self._limit = runner, runner.heads, reach, limit
        self.masks, self.points = masks, tuple(points)
        device, base = runner.device, runner.base
        m, b, k = masks, masks + 1, len(points)
        self.pending = torch.zeros(1, dtype=torch.int64, device=device)
        self.draft = torch.full((m,), -1, dtype=torch.int64, device=device)
        # One copy reads it all: accepted, largest logit, chosen tokens, their log probabilities, draft.
        self.out = torch.zeros(2 + 2 * b + m, dtype=torch.float64, device=device)
        self._points = torch.tensor(self.points, device=device)
        block = torch.arange(b, device=device)
        offset = [torch.arange(m + 1, device=device)]
        begin = [torch.zeros(m + 1, dtype=torch.int64, device=device)]
        for point in self.points:
            offset.append(block + point)
            begin.append(torch.full_like(block, point))
        role = [int(Role.CLEAN)] * (m + 1) + [int(Role.DRAFT)] * (k * b)
        number = [0] * (m + 1) + [i + 1 for i in range(k) for _ in range(b)]
        self._offsets = torch.stack(
            (
                torch.tensor(role, device=device),
                torch.cat(offset),
                torch.tensor(number, device=device),
                torch.cat(begin),
            )
        ).int()
        self._moves = torch.tensor([0, 1, 0, 1], dtype=torch.int32, device=device)[:, None]
        self._block = block
        self._visible = (block == 0).repeat(k)
        route = []
        for kind, start, stop in ((Role.CLEAN, 0, m + 1), (Role.DRAFT, m + 1, m + 1 + k * b)):
            head = runner.head_of.get(kind)
            if head is not None:
                route.append((start, stop, head))
        self._route = route
        vocab = self._heads.draft_vocab
        self._vocab = vocab[vocab < limit] if vocab.numel() else torch.arange(limit, device=device)
        self._rows = (
            base.head_weight()[self._vocab].contiguous() if vocab.numel() else base.head_weight()[:limit]
        )
        sequential = self._heads.sequential
        assert sequential is not None
        self._state, self._token = (part.contiguous() for part in sequential.mix.to(base.dtype).chunk(2, 1))
        self._carry = sequential.carry.to(base.dtype).contiguous()
        self._out = sequential.out.to(base.dtype).t().contiguous()
        self._mask = self._heads.mask.to(base.dtype)
        length = runner.device_length.clone()
        with torch.inference_mode():
            self._replay = capture(self._body, device)
        runner.device_length.copy_(length)

    def _body(self) -> None:
        runner, base, b = self._runner, self._runner.base, self.masks + 1
        line = torch.cat((self.pending, self.draft))
        shown = line.clamp_min(0)
        embedded = F.embedding(shown, base.embedding)
        anchors = embedded[self._points].repeat_interleave(b, 0)
        x = torch.cat((embedded, torch.where(self._visible[:, None], anchors, self._mask)))
        fields = self._offsets + self._moves * runner.device_length
        states = runner.forward(x, fields, self._route, self._reach)
        logits = linear(states[:b], base.head_weight(), runner.space)
        chosen = logits.argmax(-1)
        accepted = (self.draft == chosen[:-1]).long().cumprod(0).sum()
        self.out[0].copy_(accepted)
        self.out[1].copy_(logits.amax())
        self.out[2 : 2 + b].copy_(chosen)
        self.out[2 + b : 2 + 2 * b].copy_(logprob(logits, chosen))
        pending = chosen.gather(0, accepted[None])
        which = (self._points <= accepted).sum() - 1
        point = self._points.gather(0, which[None])
        at = b + which * b + self._block
        drafted = self._draft_from(states[at], line, pending, accepted, point)
        # Position `first` of the block holds the pending token; what follows it is the next draft.
        first = accepted - point + 1
        index = first + self._block[:-1]
        ok = index < b
        self.draft.copy_(torch.where(ok, drafted[index.clamp_max(b - 1)], -1))
        self.out[2 + 2 * b :].copy_(self.draft)
        self.pending.copy_(pending)
        runner.device_length.add_((accepted + 1).int())

    def _draft_from(
        self,
        block_BD: torch.Tensor,
        line: torch.Tensor,
        pending: torch.Tensor,
        accepted: torch.Tensor,
        point: torch.Tensor,
    ) -> torch.Tensor:
        """The sequential head over one block: choices [B]."""
        runner, space = self._runner, self._runner.space
        B, C = block_BD.shape[0], self._heads.config.candidates
        first = (accepted - point + 1).int()
        where = (point + self._block).clamp_max(line.shape[0] - 1)
        known = torch.where(self._block < first, line[where], pending).clamp_min(0)
        scores, index = linear(block_BD, self._rows, space).topk(C, -1)
        ids = self._vocab[index]
        token = runner.base.embedding
        inputs = linear(_norm(block_BD), self._state, space)
        of_known = linear(_norm(F.embedding(known, token)), self._token, space)
        of_candidates = linear(_norm(F.embedding(ids.flatten(), token)), self._token, space)
        views = linear(runner.base.head_weight()[ids.flatten()], self._out, space)
        W = inputs.shape[1]
        return draft_in_sequence(
            inputs,
            of_known,
            of_candidates.view(B, C, W),
            views.view(B, C, W),
            ids,
            scores,
            first,
            self._carry,
        )

    def start(self, pending: int, length: int) -> None:
        self.pending.fill_(pending)
        self.draft.fill_(-1)
        self._runner.device_length.fill_(length)

    def step(self) -> Verified:
        """One step. Raises NumericsError for NaN logits."""
        self._replay()
        accepted, top, *rest = self.out.tolist()
        if not math.isfinite(top):
            raise NumericsError(NOT_FINITE)
        count, b = int(accepted) + 1, self.masks + 1
        draft = [int(token) for token in rest[2 * b :] if token >= 0]
        return Verified([int(token) for token in rest[:count]], rest[b : b + count], draft)
