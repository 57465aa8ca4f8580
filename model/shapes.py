"""Which whole verified step pays most here: how many masks a block, behind how many acceptance points?

On a GPU a whole step is one captured launch of a fixed shape (model.fused), so there are few of them. A step
accepts a of its draft's m tokens; the next draft comes from the block at the nearest point p <= a, whose
first a - p drafts are spent: `gap` g = a - p, and m - g tokens are left, each less sure than a fresh one.
That is a Markov chain over g. Its stationary distribution gives the tokens of a step, the measured ms of the
shape make that tokens a millisecond, and the best shape wins, or plain decoding with rare probes.

The points are those that lose least: for given chances of each a, the segmentation of 0..m into runs that
begin at a point, by dynamic programming over the tokens that a gap costs the next step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from model.plan import SIBLING

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """masks: of each block, and the longest draft verified. blocks: acceptance points that get one. siblings:
    of the draft (model.drafter).
    """

    masks: int
    blocks: int
    siblings: int = 0

    def __str__(self) -> str:
        return f"{self.masks}x{self.blocks}" + f"+{self.siblings}" * bool(self.siblings)

    @property
    def width(self) -> int:
        """Tokens of the pass."""
        return (1 + self.masks) * (1 + self.blocks) + self.siblings * SIBLING


SHAPES = (Shape(7, 3), Shape(15, 1), Shape(15, 7), Shape(31, 3), Shape(13, 6, 3), Shape(23, 2, 4))
"""Few, since each is captured and timed before it is used: from 602, replayed on text from hard to easy
(docs/log.md, 2026-11-28).
"""
LONGEST = max(shape.masks for shape in SHAPES)
MOST_SIBLINGS = max(shape.siblings for shape in SHAPES)
PLAIN = Shape(0, 0)
"""One token a step, as `ar` decodes."""

Times = Mapping[Shape, float]
"""ms of a step of each shape, PLAIN among them."""
# One H200, a base of 0.5B, `model bench --only fused` (docs/log.md).
UNMEASURED = dict(zip((PLAIN, *SHAPES), (0.701, 1.146, 1.195, 1.392, 1.484, 1.483, 1.654), strict=True))


class Line(IntEnum):
    """Where the draft that a step verifies comes from: fresh from its block, from a block behind a gap, or
    copied from the text (model.copies).
    """

    FRESH = 0
    LATE = 1
    COPIED = 2


_DECAY = 0.96
_RATE = {Line.FRESH: 0.85, Line.LATE: 0.82, Line.COPIED: 0.97}
_WEIGHT = 4.0
_EVERY = 6
_PATIENCE = 16, 256
_GAIN = {1: 0.6, 2: 0.85, 3: 0.95, 4: 1.0}
"""Tokens that so many siblings add to a step, before anything is seen; worth `_WEIGHT` steps."""
_KEPT = 0.8
"""What stays of these: no block hangs behind a sibling, so the next draft is a late one (docs/log.md)."""


class Acceptance:
    """Chance that draft token j is right when all before it were, of each kind of line apart.

    Counts decay by step; where few were seen, the rate of the position before stands in, and a prior before
    the first.
    """

    def __init__(self) -> None:
        self._right = np.zeros((len(Line), LONGEST))
        self._seen = np.zeros((len(Line), LONGEST))

    def observe(self, row: Line, accepted: int, verified: int) -> None:
        """Of a draft of `verified` tokens the first `accepted` were right."""
        if not verified:
            return
        self._right[row] *= _DECAY
        self._seen[row] *= _DECAY
        self._right[row, :accepted] += 1
        self._seen[row, : min(accepted + 1, verified)] += 1

    def rates(self, row: Line) -> tuple[float, ...]:
        """By position, the first draft token's first. Late drafts are never better than fresh ones."""
        rate, rates = _RATE[row], []
        for right, seen in zip(self._right[row].tolist(), self._seen[row].tolist(), strict=True):
            rate = (right + _WEIGHT * rate) / (seen + _WEIGHT)
            rates.append(rate)
        return tuple(map(min, rates, self.rates(Line.FRESH))) if row == Line.LATE else tuple(rates)


@dataclass(frozen=True, slots=True)
class Forecast:
    """tokens: expected of a step in the long run. points: where the shape's blocks hang, 0 first."""

    tokens: float
    points: tuple[int, ...]


@lru_cache(64)  # answers begin alike
def forecast(shape: Shape, fresh: tuple[float, ...], late: tuple[float, ...]) -> Forecast:
    """What a shape gives when every step has it and draft token j is right with fresh[j] or late[j]; what its
    siblings add is not in it.
    """
    ends_GA = _ends(shape.masks, fresh, late)
    tokens_G = ends_GA @ np.arange(1, shape.masks + 2)
    chance_A = ends_GA[0]
    points: tuple[int, ...] = ()
    for _ in range(2):  # the points from fresh drafts, then from the mixture that these points make
        points = _points(chance_A, tokens_G[0] - tokens_G, shape.blocks)
        share_G = _stationary(ends_GA, points)
        chance_A = share_G @ ends_GA
    return Forecast(float(share_G @ tokens_G), points)


@lru_cache(64)
def copied_points(
    shape: Shape, copied: tuple[float, ...], fresh: tuple[float, ...], late: tuple[float, ...]
) -> tuple[int, ...]:
    """Where the shape's blocks hang under a copy whose token j is right with copied[j]."""
    chance_A = _ends(shape.masks, copied, copied)[0]
    tokens_G = _ends(shape.masks, fresh, late) @ np.arange(1, shape.masks + 2)
    return _points(chance_A, tokens_G[0] - tokens_G, shape.blocks)


def _ends(masks: int, fresh: Sequence[float], late: Sequence[float]) -> Floats:
    """Chance [gap, accepted] that a draft behind that gap is accepted so far."""
    left = masks - np.arange(masks + 1)[:, None]  # tokens of the draft behind each gap
    end = np.arange(masks + 1)[None]
    rate = np.array([fresh[:masks], *[late[:masks]] * masks])
    reach = np.concatenate((np.ones((masks + 1, 1)), rate.cumprod(1)), 1)
    miss = np.concatenate((1 - rate, np.ones((masks + 1, 1))), 1)
    ends: Floats = np.where(end < left, reach * miss, np.where(end == left, reach, 0.0))
    return ends


@cache
def _gaps(size: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """a - p for point p and end a, and where it is not negative."""
    gap = np.arange(size)[None] - np.arange(size)[:, None]
    return gap.clip(0), gap >= 0


def _points(chance_A: Floats, loss_G: Floats, blocks: int) -> tuple[int, ...]:
    """Where `blocks` blocks hang so that the expected loss of the gaps behind them is least; 0 is one."""
    size = len(chance_A)
    gap, after = _gaps(size)
    # cost[p, q]: of ends p..q-1 when p has a block and the next block is at q.
    cost = np.zeros((size, size + 1))
    cost[:, 1:] = (chance_A * loss_G[gap] * after).cumsum(1)
    cost[:, :size][gap == 0] = np.inf
    best = cost[:, size]  # with one block left, at p
    following: list[NDArray[np.int64]] = []
    for _ in range(blocks - 1):
        total = cost[:, :size] + best
        following.append(total.argmin(1))
        best = total.min(1)
    points = [0]
    for step in reversed(following):
        points.append(int(step[points[-1]]))
    return tuple(points)


def _stationary(ends_GA: Floats, points: Sequence[int]) -> Floats:
    """Long-run share of each gap, when a step that ends at a leaves the gap to the last point before a."""
    size = len(ends_GA)
    where = np.searchsorted(np.array(points), np.arange(size), side="right") - 1
    gap = np.arange(size) - np.array(points)[where]
    move: Floats = ends_GA @ (gap[:, None] == np.arange(size))
    # A gap of 0 follows from every state sooner or later, so few squarings reach the limit.
    for _ in range(6):
        move = move @ move
    share: Floats = move[0] / move[0].sum()
    return share


class ShapePlanner:
    """The shape of the next step, for one answer: `choose`, run it, `observe`."""

    def __init__(self, times: Times = UNMEASURED) -> None:
        self._times = times
        self.acceptance = Acceptance()
        self._probe = min((shape for shape in times if shape != PLAIN), key=lambda shape: times[shape])
        self._news = 0
        self._shape = self._copier = PLAIN
        self._points: tuple[int, ...] = (0,)
        self._copier_points: tuple[int, ...] = (0,)
        self.copies = True
        """Are copies at least as good as fresh drafts?"""
        self._copied = False
        self._gap = self._drafts = 0
        self._plain, self._patience = 0, _PATIENCE[0]
        self._probing = 0
        # Of steps with so many siblings: tokens that these added, and steps.
        self._added = {count: (_WEIGHT * gain, _WEIGHT) for count, gain in _GAIN.items()}
        self._plan()

    def choose(self, copied: bool = False) -> tuple[Shape, tuple[int, ...]]:
        """Shape and points of the next step; without blocks the points mean nothing. copied: its line is a
        copy, as long as any shape wants it.
        """
        self._copied = copied
        if copied and self._copier != PLAIN:
            return self._copier, self._copier_points
        if self._shape != PLAIN:
            return self._shape, self._points
        if self._probing:
            return self._probe, tuple(range(self._probe.blocks))
        return PLAIN, (0,)

    def observe(
        self, shape: Shape, points: Sequence[int], accepted: int, drafts: int, beside: int = 0
    ) -> None:
        """A step of `shape`, as chosen last, accepted so many of its line and made a draft of `drafts`
        tokens; beside: tokens that a sibling added.
        """
        row = Line.COPIED if self._copied else Line.LATE if self._gap else Line.FRESH
        verified = shape.masks if self._copied else min(self._drafts, shape.masks)
        # What goes on behind a short draft is a copy, and says nothing of drafts.
        self.acceptance.observe(row, min(accepted, verified), verified)
        if shape.siblings and verified:
            tokens, steps = self._added[shape.siblings]
            self._added[shape.siblings] = _DECAY * tokens + beside, _DECAY * steps + 1
        self._news += verified > 0
        self._drafts = drafts
        self._gap = accepted + beside - max(point for point in points if point <= accepted)
        if shape == PLAIN:
            self._plain += 1
            if self._plain >= self._patience:
                self._plain, self._probing = 0, 2  # one step makes a draft, the next one judges it
                self._patience = min(_PATIENCE[1], 2 * self._patience)
        elif self._probing and not self._copied:
            # While its drafts pay, a probe goes on.
            pays = accepted + beside + 1 > self._times[shape] / self._times[PLAIN]
            self._probing = max(self._probing - 1, int(pays))
            if verified and pays:
                self._patience = _PATIENCE[0]

    def reconsider(self) -> None:
        """Plan anew when it is time to: may run while the device works on a step that was chosen before."""
        if self._news >= (1 if self._shape == PLAIN else _EVERY):
            self._news = 0
            self._plan()

    def _plan(self) -> None:
        fresh, late, copied = map(self.acceptance.rates, Line)
        # No step commits more than one whose draft is always fresh: shapes that lose even so need no chain.
        reach = np.cumprod(fresh).cumsum()
        gain = {0: 0.0} | {count: _KEPT * tokens / steps for count, (tokens, steps) in self._added.items()}
        most = {
            s: (1 + reach[s.masks - 1] + gain[s.siblings]) / ms for s, ms in self._times.items() if s != PLAIN
        }
        best, self._shape = 1 / self._times[PLAIN], PLAIN
        for shape in sorted(most, key=lambda shape: -most[shape]):
            if most[shape] <= best:
                break
            made = forecast(Shape(shape.masks, shape.blocks), fresh, late)
            value = (made.tokens + gain[shape.siblings]) / self._times[shape]
            if value > best:
                best, self._shape, self._points = value, shape, made.points
        if self._shape != PLAIN:
            self._probing = 0
        # A copy is there for one step: what it gives beyond what its ms give otherwise.
        fresh_tokens, reach = reach[-1], np.cumprod(copied).cumsum()
        self.copies = bool(reach[-1] >= fresh_tokens)
        surplus = {s: 1 + reach[s.masks - 1] * (s != PLAIN) - best * ms for s, ms in self._times.items()}
        self._copier = max(surplus, key=lambda shape: surplus[shape])
        if self._copier != PLAIN:
            self._copier_points = copied_points(self._copier, copied, fresh, late)
