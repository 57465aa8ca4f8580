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
from model.drafter import _norm, promises
from model.draftparts import DraftParts, best_of
from model.errors import NumericsError
from model.graphs import capture
from model.judge import Judge
from model.kernels.attention import BESIDE, Beside
from model.kernels.linear import linear
from model.kernels.sequence import Block, draft_in_sequence, siblings_in_sequence
from model.plan import SIBLING
from model.roles import Role
from model.sampling import NOT_FINITE, Kind
from model.shapes import Shape
from model.verified import Verified


def capture_step(body: Callable[[], None], runner: CudaRunner) -> Callable[[], None]:
    """A step as a graph; what its warm-up advanced is put back. Steps share the memory of what they compute
    between: they run one after the other.
    """
    advanced = (runner.pending, runner.draft, runner.beside, runner.beside_at, runner.device_length)
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


class VerifiedStep:
    """Columns of the pass: the line, the siblings, the blocks. lenient: a judge that lets drafts stay
    which the AR head did not choose; its lenience is data of the step, its window is not.
    """

    def __init__(
        self,
        runner: CudaRunner,
        shape: Shape,
        parts: DraftParts,
        kind: Kind,
        reach: int,
        lenient: Judge | None = None,
    ) -> None:
        self._runner, self._parts, self._kind, self._reach = runner, parts, kind, reach
        self._lenient, self._window = lenient is not None, lenient.window if lenient is not None else 0
        self.masks, self.siblings, self.points = shape.masks, shape.siblings, tuple(range(shape.blocks))
        device = runner.device
        m, b, k, own = shape.masks, shape.masks + 1, shape.blocks, shape.siblings * SIBLING
        self._clean = b + own
        # One copy reads it all: chosen tokens, their log probabilities and normalisers, accepted, the
        # sibling taken and the tokens that it added, draft.
        self.out = torch.zeros(3 * self._clean + 3 + m, device=device)
        self._points = torch.tensor(self.points, device=device)
        self._offsets = self._fields_of(self.points).to(device)
        self._moves = torch.tensor([0, 1, 0, 1], dtype=torch.int32, device=device)[:, None]
        self._block = torch.arange(b, device=device)
        self._own = torch.arange(SIBLING, device=device)
        self._visible = (self._block == 0).repeat(k)
        route = []
        end = self._clean + k * b
        for role, start, stop in ((Role.CLEAN, 0, self._clean), (Role.DRAFT, self._clean, end)):
            head = runner.head_of.get(role)
            if head is not None:
                route.append((start, stop, head))
        self._route = route
        self._replay = capture_step(self._body, runner)

    def _fields_of(self, points: Sequence[int]) -> torch.Tensor:
        """Role, position, block and begin [4, T], positions counted from the committed length; on the CPU.
        Those of siblings are data of the step.
        """
        b, own = self.masks + 1, self.siblings * SIBLING
        role, number = [int(Role.CLEAN)] * b + [BESIDE] * own, [0] * self._clean
        offset, begin = [*range(b), *[0] * own], [0] * self._clean
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
        parts, draft, length = self._parts, runner.draft[: self.masks], runner.device_length.long()
        line = torch.cat((runner.pending, draft))
        beside, at = runner.beside[: self.siblings], runner.beside_at[: self.siblings]
        embedded = F.embedding(torch.cat((line, beside.flatten())).clamp_min(0), base.embedding)
        anchors = embedded[self._points].repeat_interleave(b, 0)
        x = torch.cat((embedded, torch.where(self._visible[:, None], anchors, parts.mask)))
        fields = self._offsets + self._moves * runner.device_length
        forks = length + 1 + at.clamp_min(0)
        due = (forks[:, None] + self._own).flatten()
        siblings = None
        if self.siblings:
            fields[1, b : self._clean] = due.int()
            siblings = Beside(b, self.siblings, SIBLING, forks.int())
        states = runner.forward(x, fields, self._route, self._reach, siblings)
        logits = linear(states[: self._clean], base.head_weight(), runner.space)
        positions = torch.cat((length + 1 + self._block, due + 1))
        drafted = None
        if self._lenient:
            following = F.pad(beside[:, 1:], (0, 1), value=-1)
            drafted = torch.cat((F.pad(draft, (0, 1), value=-1), following.flatten()))
        report, chosen = runner.draw.choose(logits, positions, self._kind, drafted, self._window)
        accepted = (draft == chosen[: self.masks]).long().cumprod(0).sum()
        pending = chosen.gather(0, accepted[None])
        taken, added = accepted * 0, accepted * 0
        flow = line
        if self.siblings:
            taken, added, pending = self._take(chosen[b:].view(-1, SIBLING), accepted, pending)
            flow = self._flow(line, accepted, taken)
        which = (self._points <= accepted).sum() - 1
        point = self._points.gather(0, which[None])
        block_BD = states[self._clean + which * b + self._block]
        first = accepted + added - point + 1
        block = self._block_of(block_BD, flow, pending, first, point)
        chain = draft_in_sequence(block, first.int(), siblings=self.siblings > 0)
        # Position `first` of the block holds the pending token; what follows it is the next draft.
        index = first + self._block[:-1]
        new = torch.where(index < b, chain.tokens_B[index.clamp_max(b - 1)], -1)
        if self.siblings:
            gain_B = promises(chain.sure_B2, first)
            best, places = gain_B.topk(self.siblings)
            beside.copy_(siblings_in_sequence(block, chain, places, SIBLING))
            at.copy_(torch.where(best > 0, places - first, -1))
        runner.beside_at[self.siblings :].fill_(-1)
        draft.copy_(new)
        runner.draft[self.masks :].fill_(-1)
        counts = torch.stack((accepted, taken, added)).float()
        self.out.copy_(torch.cat((report.flatten(), counts, draft.float())))
        runner.pending.copy_(pending)
        runner.device_length.add_((accepted + added + 1).int())

    def _take(
        self, chosen_SO: torch.Tensor, accepted: torch.Tensor, pending: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The sibling that goes on where the line ends, how many tokens it adds, and the token behind them;
        its keys and values move to the line's places.
        """
        runner, b = self._runner, self.masks + 1
        beside, at = runner.beside[: self.siblings], runner.beside_at[: self.siblings]
        fits_S = ((at == accepted) & (beside[:, 0] == pending)).long()
        hit, taken = fits_S.max(0)
        # Not `chosen_SO[taken]`: an index of no dimensions waits for the host.
        chosen_O, own_O = (x.index_select(0, taken[None])[0] for x in (chosen_SO, beside))
        added = hit * (1 + (own_O[1:] == chosen_O[:-1]).long().cumprod(0).sum())
        pending = torch.where(hit > 0, chosen_O.gather(0, (added - 1).clamp_min(0)[None]), pending)
        here = runner.device_length.long() + accepted + 1 + self._own
        there = runner.device_length.long() + b + taken * SIBLING + self._own
        source = torch.where(hit > 0, there, here)
        for kept in (runner.kv.keys, runner.kv.values):
            kept.index_copy_(3, here, kept.index_select(3, source))
        return taken, added, pending

    def _flow(self, line: torch.Tensor, accepted: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
        """The line up to where it was right, and the sibling from there on."""
        places = torch.arange(len(line) + SIBLING, device=line.device)
        own = self._runner.beside.index_select(0, taken[None])[0]
        return torch.where(
            places <= accepted,
            line[places.clamp_max(len(line) - 1)],
            own[(places - accepted - 1).clamp(0, SIBLING - 1)],
        )

    def _block_of(
        self,
        block_BD: torch.Tensor,
        flow: torch.Tensor,
        pending: torch.Tensor,
        first: torch.Tensor,
        point: torch.Tensor,
    ) -> Block:
        """All that the sequential head needs of one block. flow: tokens from the committed length on; the
        pending one at the block's position `first` is not in it.
        """
        runner, parts, space = self._runner, self._parts, self._runner.space
        where = (point + self._block).clamp_max(flow.shape[0] - 1)
        known = torch.where(self._block < first, flow[where], pending).clamp_min(0)
        scores, index = best_of(linear(block_BD, parts.rows, space), parts.candidates)
        ids = parts.vocab[index]
        known_BD = F.embedding(known, runner.base.embedding)
        noise = temperature = top_p = None
        if self._kind.warm:
            # State i of the block predicts the token at this position; `ar` will draw it with this noise.
            positions = runner.device_length.long() + point + 1 + self._block
            noise, temperature = runner.draw.noise(positions, ids), runner.draw.temperature
            top_p = runner.draw.top_p if self._kind.cut else None
        return Block(
            linear(_norm(block_BD), parts.state, space),
            linear(_norm(known_BD), parts.token, space),
            F.embedding(index, parts.of_candidate),
            F.embedding(index, parts.view),
            ids,
            scores,
            parts.carry,
            noise,
            temperature,
            top_p,
        )

    def launch(self) -> None:
        self._replay()

    def collect(self) -> Verified:
        """What the step that was launched made. Raises NumericsError for NaN logits."""
        out, clean = self.out.tolist(), self._clean
        report = [out[i * clean : (i + 1) * clean] for i in range(3)]
        accepted, taken, added = map(int, out[3 * clean : 3 * clean + 3])
        if not all(map(math.isfinite, report[2])):
            raise NumericsError(NOT_FINITE)
        begin = self.masks + 1 + taken * SIBLING
        ids, logs = (row[: accepted + 1] + row[begin : begin + added] for row in report[:2])
        draft = [int(token) for token in out[3 * clean + 3 :] if token >= 0]
        return Verified([int(token) for token in ids], logs, draft, added)
