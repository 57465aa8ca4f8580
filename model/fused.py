"""Whole steps on the device: one CUDA graph replay and one small copy back a step.

`ArStep`: embed, pass, output head, choice, advance. `VerifiedStep`: build the line and its blocks, pass,
verify, find the block that hangs at the end of acceptance, draft from it in sequence, advance. The kernels
of CudaRunner and the draws of model.sampling, so same tokens. The shape of a VerifiedStep (masks, blocks) is
fixed, the points where its blocks hang are data; shorter drafts are padded with -1, which nothing equals.
Token, draft and length live on the runner, so steps of any shape follow each other; model.steps chooses
among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from model.cuda import CudaRunner
from model.drafter import _norm
from model.errors import NumericsError
from model.graphs import capture
from model.kernels.linear import linear
from model.kernels.sequence import draft_in_sequence
from model.roles import Role
from model.sampling import NOT_FINITE, Kind
from model.shapes import Shape
from model.verified import Verified


def capture_step(body: Callable[[], None], runner: CudaRunner) -> Callable[[], None]:
    """A step as a graph; what its warm-up advanced is put back. Steps share the memory of what they compute
    between: they run one after the other.
    """
    advanced = (runner.pending, runner.draft, runner.device_length)
    before = [tensor.clone() for tensor in advanced]
    with torch.inference_mode():
        replay = capture(body, runner.device, runner.pool)
        for tensor, value in zip(advanced, before, strict=True):
            tensor.copy_(value)
    return replay


class ArStep:
    def __init__(self, runner: CudaRunner, kind: Kind, reach: int) -> None:
        self._runner, self._kind, self._reach = runner, kind, reach
        device = runner.device
        # What comes back in one copy: the token, its log probability, the normaliser (NaN shows there).
        self._out = torch.zeros(3, 1, device=device)
        self._fields = torch.zeros(4, 1, dtype=torch.int32, device=device)
        self._replay = capture_step(self._body, runner)

    def _body(self) -> None:
        runner = self._runner
        self._fields[1].copy_(runner.device_length)
        head = runner.head_of.get(Role.CLEAN)
        route = [] if head is None else [(0, 1, head)]
        x = F.embedding(runner.pending, runner.base.embedding)
        states = runner.forward(x, self._fields, route, self._reach)
        logits = linear(states, runner.base.head_weight(), runner.space)
        report, ids = runner.draw.choose(logits, runner.device_length.long() + 1, self._kind)
        runner.pending.copy_(ids)
        self._out.copy_(report)
        runner.device_length.add_(1)

    def launch(self) -> None:
        self._replay()

    def collect(self) -> tuple[int, float]:
        """The token of the step that was launched and its log probability. The cache on the device is one
        longer; the caller's `length` is not. Raises NumericsError for NaN logits.
        """
        token, log, norm = self._out[:, 0].tolist()
        if not math.isfinite(norm):
            raise NumericsError(NOT_FINITE)
        return int(token), log


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


def _best(scores_BV: torch.Tensor, count: int, parts: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """topk(count) of each row, first within `parts` equal parts: torch gives a whole row to one block of
    threads."""
    B, V = scores_BV.shape
    if V % parts or count > V // parts:
        return scores_BV.topk(count, -1)
    some_BPC, within = scores_BV.view(B, parts, -1).topk(count, -1)
    place = within + torch.arange(0, V, V // parts, device=scores_BV.device)[:, None]
    best, which = some_BPC.flatten(1).topk(count, -1)
    return best, place.flatten(1).gather(1, which)


class VerifiedStep:
    def __init__(self, runner: CudaRunner, shape: Shape, parts: DraftParts, kind: Kind, reach: int) -> None:
        self._runner, self._parts, self._kind, self._reach = runner, parts, kind, reach
        self.masks, self.points = shape.masks, tuple(range(shape.blocks))
        device = runner.device
        m, b, k = shape.masks, shape.masks + 1, shape.blocks
        # One copy reads it all: chosen tokens, their log probabilities and normalisers, accepted, draft.
        self.out = torch.zeros(3 * b + 1 + m, device=device)
        self._points = torch.tensor(self.points, device=device)
        self._offsets = self._fields_of(self.points).to(device)
        self._moves = torch.tensor([0, 1, 0, 1], dtype=torch.int32, device=device)[:, None]
        self._block = torch.arange(b, device=device)
        self._visible = (self._block == 0).repeat(k)
        route = []
        for role, start, stop in ((Role.CLEAN, 0, m + 1), (Role.DRAFT, m + 1, m + 1 + k * b)):
            head = runner.head_of.get(role)
            if head is not None:
                route.append((start, stop, head))
        self._route = route
        self._replay = capture_step(self._body, runner)

    def _fields_of(self, points: Sequence[int]) -> torch.Tensor:
        """Role, position, block and begin [4, T], positions counted from the committed length; on the CPU."""
        b = self.masks + 1
        role, number = [int(Role.CLEAN)] * b, [0] * b
        offset, begin = list(range(b)), [0] * b
        for index, point in enumerate(points, start=1):
            role += [int(Role.DRAFT)] * b
            offset += range(point, point + b)
            number += [index] * b
            begin += [point] * b
        return torch.tensor([role, offset, number, begin], dtype=torch.int32)

    def hang(self, points: Sequence[int]) -> None:
        """Hang the blocks at these acceptance points, ascending from 0, as many as the shape has blocks."""
        if tuple(points) == self.points:
            return
        assert len(points) == len(self.points)
        assert points[0] == 0
        self.points = tuple(points)
        self._points.copy_(torch.tensor(self.points))
        self._offsets.copy_(self._fields_of(self.points))

    def _body(self) -> None:
        runner, base, b = self._runner, self._runner.base, self.masks + 1
        parts, draft = self._parts, runner.draft[: self.masks]
        line = torch.cat((runner.pending, draft))
        shown = line.clamp_min(0)
        embedded = F.embedding(shown, base.embedding)
        anchors = embedded[self._points].repeat_interleave(b, 0)
        x = torch.cat((embedded, torch.where(self._visible[:, None], anchors, parts.mask)))
        fields = self._offsets + self._moves * runner.device_length
        states = runner.forward(x, fields, self._route, self._reach)
        logits = linear(states[:b], base.head_weight(), runner.space)
        positions = runner.device_length.long() + 1 + self._block
        report, chosen = runner.draw.choose(logits, positions, self._kind)
        accepted = (draft == chosen[:-1]).long().cumprod(0).sum()
        pending = chosen.gather(0, accepted[None])
        which = (self._points <= accepted).sum() - 1
        point = self._points.gather(0, which[None])
        at = b + which * b + self._block
        drafted = self._draft_from(states[at], line, pending, accepted, point)
        # Position `first` of the block holds the pending token; what follows it is the next draft.
        first = accepted - point + 1
        index = first + self._block[:-1]
        ok = index < b
        draft.copy_(torch.where(ok, drafted[index.clamp_max(b - 1)], -1))
        runner.draft[self.masks :].fill_(-1)
        self.out.copy_(torch.cat((report.flatten(), accepted[None].float(), draft.float())))
        runner.pending.copy_(pending)
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
        runner, parts, space = self._runner, self._parts, self._runner.space
        first = (accepted - point + 1).int()
        where = (point + self._block).clamp_max(line.shape[0] - 1)
        known = torch.where(self._block < first, line[where], pending).clamp_min(0)
        scores, index = _best(linear(block_BD, parts.rows, space), parts.candidates)
        ids = parts.vocab[index]
        known_BD = F.embedding(known, runner.base.embedding)
        noise = temperature = top_p = None
        if self._kind.warm:
            # State i of the block predicts the token at this position; `ar` will draw it with this noise.
            positions = runner.device_length.long() + point + 1 + self._block
            noise, temperature = runner.draw.noise(positions, ids), runner.draw.temperature
            top_p = runner.draw.top_p if self._kind.cut else None
        return draft_in_sequence(
            linear(_norm(block_BD), parts.state, space),
            linear(_norm(known_BD), parts.token, space),
            F.embedding(index, parts.of_candidate),
            F.embedding(index, parts.view),
            ids,
            scores,
            first,
            parts.carry,
            noise,
            temperature,
            top_p,
        )

    def launch(self) -> None:
        self._replay()

    def collect(self) -> Verified:
        """What the step that was launched made. Raises NumericsError for NaN logits."""
        out, b = self.out.tolist(), self.masks + 1
        chosen, logs, norms, (accepted, *draft) = out[:b], out[b : 2 * b], out[2 * b : 3 * b], out[3 * b :]
        if not all(map(math.isfinite, norms)):
            raise NumericsError(NOT_FINITE)
        count = int(accepted) + 1
        ids = [int(token) for token in chosen[:count]]
        return Verified(ids, logs[:count], [int(token) for token in draft if token >= 0])
