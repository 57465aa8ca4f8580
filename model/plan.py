"""How wide should the next verified pass be?

A pass verifies a draft of m tokens and hangs MASK blocks after k of the m + 1 points where acceptance may
end; each block drafts b tokens more. Wider passes accept more and cost more. The planner knows the device's
curve of milliseconds against width, keeps a running acceptance rate, and takes the (b, k) with the most
expected tokens a millisecond. When that is plain decoding it hangs nothing, and probes with a short block
now and then.

The plan changes how fast an answer comes, never which: acceptance is exact whatever was drafted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.request import GenerateRequest

_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 15, 16, 20, 24, 28, 31)
_BRANCHES = (1, 2, 3, 4, 6, 8, 12, 16)
_DECAY = 0.98
_COPIED = 0.97
WIDEST = 512
"""Tokens of a pass at most."""
SIBLING = 8
"""Tokens of a sibling at most, its first one included."""


@dataclass(frozen=True, slots=True)
class Curve:
    """ms of a pass at some widths, ascending; straight lines between them and beyond."""

    widths: tuple[int, ...]
    ms: tuple[float, ...]

    def __call__(self, width: int) -> float:
        if len(self.widths) == 1:
            return self.ms[0]
        i = next((i for i, w in enumerate(self.widths) if w >= width), len(self.widths) - 1)
        i = max(i, 1)
        (w0, w1), (t0, t1) = self.widths[i - 1 : i + 1], self.ms[i - 1 : i + 1]
        return t0 + (t1 - t0) * (width - w0) / (w1 - w0)


# A device that nobody measured: a pass of 33 costs twice a pass of one.
UNMEASURED = Curve((1, 65), (1.0, 3.0))


@dataclass(frozen=True, slots=True)
class Plan:
    """verify: draft tokens to run as CLEAN. masks: of each block. points: acceptance points that get a
    block. siblings: how many of the draft's siblings are verified beside it, at most.
    """

    verify: int
    masks: int
    points: tuple[int, ...]
    siblings: int = 0


def siblings_of(request: GenerateRequest) -> int:
    """Siblings of a draft (model.drafter), where the request fixes the block. None are planned: on a CPU
    their rows cost what they bring (docs/log.md). The whole steps of a GPU have them by shape (model.shapes).
    """
    return int(request.extra.get("siblings", 0)) if request.block is not None else 0


def points_of(verify: int, rate: float, branches: int) -> tuple[int, ...]:
    """The `branches` most likely ends of acceptance, 0..verify, when each draft token is right with
    `rate`.
    """
    chance = [(rate**a) * (1 - rate if a < verify else 1) for a in range(verify + 1)]
    order = sorted(range(verify + 1), key=lambda a: (-chance[a], a))
    return tuple(sorted(order[:branches]))


class Planner:
    """limit: longest block the heads can use, in masks. rate: prior acceptance, worth `weight` draft
    tokens.
    """

    def __init__(
        self, curve: Curve = UNMEASURED, limit: int = 31, rate: float = 0.7, weight: float = 4.0
    ) -> None:
        self.curve, self.limit = curve, limit
        self._right, self._seen = rate * weight, weight
        self._copied = [_COPIED * weight, weight]
        self._plain_steps, self._patience = 0, 16

    @property
    def rate(self) -> float:
        """Running share of draft tokens accepted, among those whose predecessors all were."""
        return self._right / self._seen

    @property
    def copied(self) -> float:
        """The same of copies."""
        right, seen = self._copied
        return right / seen

    @property
    def copies(self) -> bool:
        """Are copies at least as good as drafts?"""
        return self.copied >= self.rate

    def observe(self, accepted: int, verified: int, copied: bool = False) -> None:
        """A draft of `verified` tokens, or a copy, was accepted up to `accepted`."""
        if not verified:
            return
        judged = min(accepted + 1, verified)
        keep = _DECAY**judged
        if copied:
            right, seen = self._copied
            self._copied = [right * keep + accepted, seen * keep + judged]
            return
        self._right = self._right * keep + accepted
        self._seen = self._seen * keep + judged

    def plan(self, drafts: int, left: int, request: GenerateRequest, copied: bool = False) -> Plan:
        """The next pass, with `drafts` draft tokens at hand, which may be a copy, and `left` tokens still to
        commit.
        """
        verify = max(0, min(drafts, left - 1, WIDEST // 2))
        if copied and request.block is None:
            # Behind a copy comes another one, or a fresh block: to hang them here costs more than it brings
            # (docs/log.md).
            return Plan(self._copy_length(verify), 0, ())
        if request.block is not None:
            masks, branches = request.block - 1, int(request.extra.get("branches", 4))
        else:
            masks, branches = self._best()
            if masks == 0:
                masks, branches = self._probe(drafts)
        if masks == 0:
            return Plan(verify, 0, ())
        siblings = siblings_of(request)
        branches = max(1, min(branches, (WIDEST - 1 - verify - siblings * SIBLING) // (1 + masks)))
        points = points_of(verify, self.copied if copied else self.rate, branches)
        # A block after the last token that may be committed would draft nothing.
        points = tuple(a for a in points if a + 2 <= left)
        return Plan(verify, min(masks, max(0, left - 1)), points, siblings)

    def _best(self) -> tuple[int, int]:
        """(masks, branches) with the most tokens a millisecond; (0, 0) is plain decoding."""
        return self._fastest()[0]

    def _fastest(self) -> tuple[tuple[int, int], float]:
        """`_best` and its tokens a millisecond."""
        best, value = (0, 0), 1 / self.curve(1)
        for masks in (n for n in _LENGTHS if n <= self.limit):
            for branches in (k for k in _BRANCHES if k <= masks + 1):
                rate = self._tokens(masks, branches) / self.curve(1 + masks + branches * (1 + masks))
                if rate > value:
                    best, value = (masks, branches), rate
        return best, value

    def _copy_length(self, most: int) -> int:
        """Tokens of a copy, of `most`, that bring most beyond what the ms of their pass bring otherwise."""
        usual = self._fastest()[1]
        lengths = [*(n for n in _LENGTHS if n < most), most]
        tokens = [sum(self.copied**i for i in range(1, n + 1)) for n in lengths]
        surplus = [gain - usual * self.curve(1 + n) for n, gain in zip(lengths, tokens, strict=True)]
        return lengths[surplus.index(max(surplus))]

    def _tokens(self, masks: int, branches: int) -> float:
        """Expected tokens a pass, when drafts of `masks` tokens are verified with `branches` blocks."""
        rate = self.rate
        full = 1 + sum(rate**i for i in range(1, masks + 1))
        points = points_of(masks, rate, branches)
        covered = sum((rate**a) * (1 - rate if a < masks else 1) for a in points)
        # Where no block hangs, an earlier block's tail serves, corrected: about half as good.
        missed = 1 + 0.5 * (full - 1) if 0 in points else 1.0
        return covered * full + (1 - covered) * missed

    def _probe(self, drafts: int) -> tuple[int, int]:
        """While plain decoding is best: a short block now and then, in case the text has become easier."""
        if drafts:
            return 0, 0
        self._plain_steps += 1
        if self._plain_steps < self._patience:
            return 0, 0
        self._plain_steps, self._patience = 0, min(256, self._patience * 2)
        return min(4, self.limit), 1


def coverage(points: Sequence[int], accepted: int) -> int | None:
    """The block to draft from: the one that hangs at `accepted`, else the nearest before it, else None."""
    before = [a for a in points if a <= accepted]
    return max(before) if before else None
