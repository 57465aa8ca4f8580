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

from model.cuda import CudaRunner
from model.draftparts import DraftParts
from model.errors import NumericsError
from model.graphs import capture
from model.judge import Judge
from model.kernels.attention import Beside
from model.kernels.candidates import best_of
from model.kernels.leave import keep, leave
from model.kernels.linear import linear
from model.kernels.sequence import Block, draft_in_sequence, siblings_in_sequence
from model.kernels.settle import Carried, Columns, Settled, lay, settle
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


def carried_by(runner: CudaRunner) -> Carried:
    return Carried(runner.pending, runner.draft, runner.beside, runner.beside_at, runner.device_length)


class ArStep:
    def __init__(self, runner: CudaRunner, kind: Kind, reach: int) -> None:
        self._runner, self._kind, self._reach = runner, kind, reach
        device = runner.device
        # What comes back in one copy: the token, its log probability, the normaliser (NaN shows there).
        self._out = torch.zeros(3, device=device)
        self._columns = Columns(0, 0, SIBLING, torch.empty(0, dtype=torch.int64, device=device))
        self._replay = capture_step(self._body, runner)

    def _body(self) -> None:
        runner, embedding = self._runner, self._runner.base.embedding
        carried = carried_by(runner)
        head = runner.head_of.get(Role.CLEAN)
        route = [] if head is None else [(0, 1, head)]
        laid = lay(self._columns, carried, embedding, embedding[0])
        states = runner.forward(laid.x_TD, laid.fields, route, self._reach)
        logits = linear(states, runner.base.head_weight(), runner.space)
        report, ids = runner.draw.choose(logits, laid.positions, self._kind)
        keep(carried, ids, report, self._out)

    def launch(self) -> None:
        self._replay()

    def collect(self) -> tuple[int, float]:
        """The token of the step that was launched and its log probability. The cache on the device is one
        longer; the caller's `length` is not. Raises NumericsError for NaN logits.
        """
        token, log, norm = self._out.tolist()
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
        self._columns = Columns(m, self.siblings, SIBLING, torch.tensor(self.points, device=device))
        route = []
        end = self._clean + k * b
        for role, start, stop in ((Role.CLEAN, 0, self._clean), (Role.DRAFT, self._clean, end)):
            head = runner.head_of.get(role)
            if head is not None:
                route.append((start, stop, head))
        self._route = route
        self._replay = capture_step(self._body, runner)

    def hang(self, points: Sequence[int]) -> None:
        """Hang the blocks at these acceptance points, ascending from 0, as many as the shape has blocks."""
        if tuple(points) == self.points:
            return
        assert len(points) == len(self.points)
        assert points[0] == 0
        self.points = tuple(points)
        self._columns.points.copy_(torch.tensor(self.points))

    def _body(self) -> None:
        runner, base, columns = self._runner, self._runner.base, self._columns
        carried = carried_by(runner)
        laid = lay(columns, carried, base.embedding, self._parts.mask)
        siblings = None
        if self.siblings:
            siblings = Beside(self.masks + 1, self.siblings, SIBLING, laid.forks)
        states = runner.forward(laid.x_TD, laid.fields, self._route, self._reach, siblings)
        logits = linear(states[: self._clean], base.head_weight(), runner.space)
        drafted = laid.drafted if self._lenient else None
        report, chosen = runner.draw.choose(logits, laid.positions, self._kind, drafted, self._window)
        cache = runner.kv.keys, runner.kv.values
        settled = settle(columns, carried, chosen, report, states, base.embedding, cache, self.out)
        block = self._block_of(settled)
        chain = draft_in_sequence(block, siblings=self.siblings > 0)
        begins, picked = leave(columns, carried, settled, block, chain, self.out[3 * self._clean + 3 :])
        if self.siblings:
            siblings_in_sequence(block, chain, begins, picked, runner.beside[: self.siblings])

    def _block_of(self, settled: Settled) -> Block:
        """All that the sequential head needs of one block."""
        parts, draw, space = self._parts, self._runner.draw, self._runner.space
        b = self.masks + 1
        shares = linear(settled.units, parts.state, space, also=((b, parts.token),))
        scores, index = best_of(linear(settled.block_BD, parts.rows, space), parts.candidates)
        noise = temperature = top_p = None
        if self._kind.warm:
            # State i of the block predicts the token at this position; `ar` will draw it with this noise.
            noise = draw.noise(settled.positions, parts.vocab[index])
            temperature, top_p = draw.temperature, draw.top_p if self._kind.cut else None
        return Block(
            shares[:b],
            shares[b:],
            index,
            scores,
            settled.facts,
            parts.vocab,
            parts.of_candidate,
            parts.view,
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
