"""Whole steps of one runner, of any shape, one after the other: captured when first used, kept for later.

steps = WholeSteps(runner, limit)
steps.begin(request, token, length, tokens)
steps.suggest(shape, line, sibling)
steps.launch(shape, points)
made = steps.collect()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from model.draftparts import DraftParts
from model.fused import VerifiedStep
from model.judge import EXACT, Judge
from model.plan import SIBLING
from model.sampling import GREEDY, Kind
from model.shapes import LONGEST, PLAIN, SHAPES, Shape
from model.verified import Verified

if TYPE_CHECKING:
    from model.cuda import CudaRunner
    from model.drafter import Sibling
    from model.kvcache import KVCache
    from model.request import GenerateRequest

WIDEST_SHAPE = max(shape.width for shape in SHAPES)


class WholeSteps:
    """Steps over the runner's own cache, which nothing else may use until the answer is done. limit:
    ids from here on are never drafted.
    """

    def __init__(self, runner: CudaRunner, limit: int) -> None:
        self.runner, self.limit = runner, limit
        self._parts: DraftParts | None = None
        self._captured: dict[tuple[object, ...], VerifiedStep] = {}
        self._length, self._reach, self._kind, self._judge = 0, 0, GREEDY, EXACT
        self._running: VerifiedStep | None = None  # None: a plain one
        self._drafted: list[int] = []  # what the device will verify, as far as the host knows
        pinned = runner.device.type == "cuda"
        self._line = torch.zeros(LONGEST, dtype=torch.int64, pin_memory=pinned)
        self._sibling = torch.zeros(1 + SIBLING, dtype=torch.int64, pin_memory=pinned)

    def serves(self, cache: KVCache) -> bool:
        """Is this the cache that the steps work on?"""
        return cache is self.runner.kv

    @torch.inference_mode()
    def begin(
        self, request: GenerateRequest, token: int, length: int, tokens: int, judge: Judge = EXACT
    ) -> None:
        """An answer of up to `tokens` after `token`, the cache holding the `length` tokens before it."""
        runner = self.runner
        self._kind, self._judge = Kind.of(request), judge
        runner.draw.put(request)
        runner.draw.put_judge(judge, request)
        self._length, self._reach = length, runner.reach(length + tokens + WIDEST_SHAPE)
        runner.pending.fill_(token)
        runner.draft.fill_(-1)
        runner.beside_at.fill_(-1)
        runner.device_length.fill_(length)
        self._drafted = []

    @torch.inference_mode()
    def suggest(self, shape: Shape, line: Sequence[int], beside: Sibling | None) -> None:
        """For the next launch, of this shape: verify `line`, of as many tokens as it has masks or more, in
        the place of the device's own draft, and `beside` in the place of its least promising sibling.
        """
        runner, masks = self.runner, shape.masks
        # The host has waited for the last step, so what was copied before it is no longer being read.
        if list(line[:masks]) != self._drafted[:masks]:
            self._line[:masks] = torch.tensor(line[:masks])
            runner.draft[:masks].copy_(self._line[:masks], non_blocking=True)
        if beside is not None and beside.at < masks and shape.siblings:
            last = shape.siblings - 1
            ids = [*beside.ids, *[-1] * (SIBLING - len(beside.ids))]
            self._sibling.copy_(torch.tensor([beside.at, *ids]))
            runner.beside_at[last : last + 1].copy_(self._sibling[:1], non_blocking=True)
            runner.beside[last].copy_(self._sibling[1:], non_blocking=True)

    @torch.inference_mode()
    def launch(self, shape: Shape, points: Sequence[int]) -> None:
        """Start a step; the device works on when this returns."""
        if shape == PLAIN:
            if self._running is not None:
                # They are not verified, and the next step's would be others.
                self.runner.draft.fill_(-1)
                self.runner.beside_at.fill_(-1)
            self._running = None
            self.runner.ar_step(self._length, self._kind).launch()
            return
        self._running = self._step(shape)
        self._running.hang(points)
        self._running.launch()

    def collect(self) -> Verified:
        """What the last launched step made: the one wait for the device. Raises NumericsError for NaN
        logits.
        """
        if self._running is None:
            token, log = self.runner.ar_step(self._length, self._kind).collect()
            made = Verified([token], [log], [])
        else:
            made = self._running.collect()
        self._length += len(made.ids)
        self._drafted = made.draft
        return made

    def settle(self) -> None:
        """Wait for a step that was launched and will not be collected."""
        self.runner.pending.tolist()

    def _step(self, shape: Shape) -> VerifiedStep:
        lenient = None if self._judge.exact else Judge(window=self._judge.window)
        key = shape, self._kind, lenient, self._reach, tuple(self.runner.head_of.items())
        if key not in self._captured:
            if self._parts is None:
                self._parts = DraftParts(self.runner, self.limit)
            self._captured[key] = VerifiedStep(
                self.runner, shape, self._parts, self._kind, self._reach, lenient
            )
        return self._captured[key]

    def trial(self, request: GenerateRequest, shape: Shape, length: int) -> None:
        """One step behind `length` cached tokens, for a clock."""
        self.begin(request, 0, length, 1)
        self.launch(shape, range(shape.blocks))
        self.collect()
