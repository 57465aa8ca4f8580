"""Whole verified steps of any shapes (model.shapes), replayed from what each draft block would have said.

    marks = [Acceptance(forward, block).marks(samples)[0][1] for block in (16, 32)]
    planned(Replay(marks, lookup(sample, LONGEST)), ShapePlanner(times), times)

Up to the first miss a draft's tokens are the true ones, so marks by teacher forcing say where every draft
ends, late ones and those behind a sibling too. Two things are not exact. Where siblings begin follows from
probabilities behind the first miss as well, which are those of the true text here. And a shape whose block
was not measured reads a longer one: of blocks of 16 and 32 the same position is right within .006 as often
(docs/log.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.copies import trusted
from model.data.samples import Sample
from model.drafter import promises
from model.plan import SIBLING
from model.shapes import LONGEST, PLAIN, Shape, ShapePlanner, Times
from model.train.acceptance import Marks, run_length
from model.train.copied import Copied, lookup


@dataclass(frozen=True, slots=True)
class Made:
    """What a step did: draft tokens accepted, tokens that a sibling added, tokens of the next draft."""

    accepted: int
    beside: int
    drafts: int


@dataclass(frozen=True, slots=True)
class _Draft:
    """From state `first` on of the block of `masks` at anchor `block`. siblings: places in the block."""

    masks: int
    block: int
    first: int
    siblings: tuple[int, ...]


class Replay:
    """One answer, from its first token on. marks: of blocks of some sizes, the largest as long as that of any
    shape asked for. A shape of another size takes the first states of the next larger block. copied: of the
    same answer, where copies are trusted (model.copies).
    """

    def __init__(self, marks: Sequence[Marks], copied: Copied | None = None) -> None:
        self._marks = {
            one.refined.shape[1]: one for one in sorted(marks, key=lambda one: one.refined.shape[1])
        }
        self._length = len(marks[0].refined)
        self._copies = copied
        self._at = 0  # the anchor whose token is pending: it stands before answer token `_at`
        self._draft: _Draft | None = None
        self._places: dict[_Draft, tuple[int, ...]] = {}

    def restart(self) -> None:
        self._at, self._draft = 0, None

    @property
    def done(self) -> bool:
        return self._at >= self._length

    def step(self, shape: Shape, points: Sequence[int], copied: bool = True) -> Made:
        """One step of `shape`, its blocks hanging at `points`. copied: its line is a copy, if that is
        trusted.
        """
        accepted, beside = self._verified(shape, copied and self.copied)
        before = max(point for point in points if point <= accepted)
        gap = accepted + beside - before
        block, self._at = self._at + before, self._at + accepted + beside + 1
        drafts = max(0, shape.masks - gap)
        self._draft = None
        if drafts and not self.done:
            draft = _Draft(shape.masks, block, gap + 1, ())
            self._draft = _Draft(shape.masks, block, gap + 1, self._siblings(draft, shape.siblings))
        return Made(accepted, beside, drafts)

    @property
    def copied(self) -> bool:
        """Is the next step's line a copy?"""
        if self._copies is None:
            return False
        copy = int(self._copies.lengths[self._at])
        return trusted(int(self._copies.match[self._at]), min(copy, self._right()))

    def _right(self) -> int:
        """Of the draft, the tokens before its first miss."""
        draft = self._draft
        return 0 if draft is None else int(run_length(self._of(draft).refined[draft.first :]))

    def _verified(self, shape: Shape, copied: bool) -> tuple[int, int]:
        draft, siblings = self._draft, shape.siblings
        right = min(self._right(), shape.masks)
        accepted = right
        if copied:
            assert self._copies is not None
            accepted = min(int(self._copies.lengths[self._at]), shape.masks)
            if siblings and right > accepted:
                return accepted, min(right - accepted, SIBLING)
            siblings -= 1
        # What a sibling goes on from is the draft, also where that is a sibling itself.
        if draft is None or right < accepted:
            return accepted, 0
        marks, place = self._of(draft), draft.first + accepted
        if place in draft.siblings[: max(siblings, 0)] and marks.second[place]:
            return accepted, 1 + int(run_length(marks.refined[place + 1 : place + SIBLING]))
        return accepted, 0

    def _siblings(self, draft: _Draft, count: int) -> tuple[int, ...]:
        if not count:
            return ()
        if draft not in self._places:
            self._places[draft] = sibling_order(self._of(draft), draft.first)
        return self._places[draft][:count]

    def _of(self, draft: _Draft) -> Marks:
        """Of the draft's block, its states only."""
        states = draft.masks + 1
        size = next(size for size in self._marks if size >= states)
        return self._marks[size].at(draft.block, slice(states))


def sibling_order(marks: Marks, first: int) -> tuple[int, ...]:
    """States of one block, from `first` on, in the order in which they get siblings."""
    gain, places = promises(torch.from_numpy(marks.sure), first).sort(descending=True, stable=True)
    return tuple(places[gain > 0].tolist())


@dataclass(frozen=True, slots=True)
class Decoded:
    """An answer in whole steps: tokens, steps and their ms."""

    tokens: int
    steps: int
    ms: float

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return 1e3 * self.tokens / self.ms

    def __add__(self, other: Decoded) -> Decoded:
        return Decoded(self.tokens + other.tokens, self.steps + other.steps, self.ms + other.ms)


def planned(answer: Replay, planner: ShapePlanner, times: Times) -> Decoded:
    """The whole answer in the steps that the planner chooses, as `model.verified.decode_whole` runs them."""
    answer.restart()
    tokens, steps, ms = 0, 0, 0.0
    while not answer.done:
        copied = planner.copies and answer.copied
        shape, points = planner.choose(copied)
        planner.reconsider()
        made = answer.step(shape, points, copied)
        planner.observe(shape, points, made.accepted, made.drafts, made.beside)
        tokens, steps, ms = tokens + made.accepted + made.beside + 1, steps + 1, ms + times[shape]
    return Decoded(tokens, steps, ms)


def of_one_shape(answer: Replay, shape: Shape, times: Times) -> Decoded:
    """The whole answer in steps of one shape, its points where this answer's drafts lose least so far."""
    only = {PLAIN: float("inf"), shape: times[shape]}
    return planned(answer, ShapePlanner(only), times)


def compared(answers: Sequence[Replay], times: Times) -> dict[str, Decoded]:
    """All answers by each shape of `times`; by the best shape of each answer, known beforehand (`best`); and
    by the planner, new for each answer (`planner`).
    """
    nothing = Decoded(0, 0, 0.0)
    shapes = [shape for shape in times if shape != PLAIN]
    made = [{shape: of_one_shape(answer, shape, times) for shape in shapes} for answer in answers]
    return {
        **{str(shape): sum((each[shape] for each in made), nothing) for shape in shapes},
        "best": sum((max(each.values(), key=lambda one: one.speed) for each in made), nothing),
        "planner": sum((planned(answer, ShapePlanner(times), times) for answer in answers), nothing),
    }


def shape_figures(
    samples: Sequence[Sample], marks: Sequence[Sequence[Marks]], times: Times
) -> dict[str, dict[str, float]]:
    """`compared` as tokens a step and tokens a second, and the same with copies. marks: for each block size,
    those of all answers."""
    each = list(zip(samples, zip(*marks, strict=True), strict=True))
    alone = compared([Replay(found) for _, found in each], times)
    copied = compared([Replay(found, lookup(sample, LONGEST)) for sample, found in each], times)
    return {
        name: {
            "tokens_a_step": round(one.tokens / one.steps, 3),
            "tokens_a_second": round(one.speed, 1),
            "tokens_a_step_with_copies": round(copied[name].tokens / copied[name].steps, 3),
            "tokens_a_second_with_copies": round(copied[name].speed, 1),
        }
        for name, one in alone.items()
    }
