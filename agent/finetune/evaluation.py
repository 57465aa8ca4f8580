"""Old heads against new on the same held-out tasks: pass@1, steps, and whether the difference may be chance.

pass@1 is the greedy first answer. Steps are forward passes of an attempt, compared on the tasks that both
solve, because a wrong answer may be short for a bad reason; the mean over all tasks stands beside it.
Intervals are 95 % bootstrap intervals over tasks, pairs kept together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.stats import BOOTSTRAP, bootstrap_mean, mcnemar

MIN_TASKS = 8  # with fewer, a bootstrap interval is narrow because it has seen nothing
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], seed: int = 0) -> Estimate:
        """The bootstrap interval of a mean; nan for no values."""
        if not len(values):
            return cls(math.nan, math.nan, math.nan)
        return cls(float(np.mean(values)), *bootstrap_mean(values, seed))

    def as_list(self) -> list[float | None]:
        """[value, low, high], None for what is not known: JSON has no nan."""
        return [None if math.isnan(x) else round(x, 4) for x in (self.value, self.low, self.high)]


@dataclass(frozen=True, slots=True)
class Comparison:
    """old, new: figures of each. difference: of pass@1. steps: relative change of the mean steps on tasks
    both solve (-0.3: 30 % fewer). won, lost: tasks that flipped. p: McNemar's exact test of the flips."""

    tasks: int
    old: dict[str, Any]
    new: dict[str, Any]
    difference: Estimate
    steps: Estimate
    both: int
    won: tuple[str, ...]
    lost: tuple[str, ...]
    p: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; estimates as [value, low, high]."""
        return {
            "tasks": self.tasks,
            "old": self.old,
            "new": self.new,
            "pass_difference": self.difference.as_list(),
            "steps_change": self.steps.as_list(),
            "both_solved": self.both,
            "won": list(self.won),
            "lost": list(self.lost),
            "p_mcnemar": round(self.p, 4),
        }


def compare(old: Sequence[Row], new: Sequence[Row]) -> Comparison:
    """Rows of `agent.finetune.rollout` for the same tasks in the same order. Raises ValueError otherwise."""
    if [row["task"] for row in old] != [row["task"] for row in new] or not old:
        raise ValueError("old and new must hold the same tasks, at least one")
    flags = [(bool(a["ok"]), bool(b["ok"])) for a, b in zip(old, new, strict=True)]
    both = [i for i, (a, b) in enumerate(flags) if a and b]
    won = tuple(row["task"] for row, (a, b) in zip(old, flags, strict=True) if b and not a)
    lost = tuple(row["task"] for row, (a, b) in zip(old, flags, strict=True) if a and not b)
    before, after = ([float(rows[i]["forwards"]) for i in both] for rows in (old, new))
    return Comparison(
        tasks=len(old),
        old=figures(old),
        new=figures(new),
        difference=Estimate.of([float(b) - float(a) for a, b in flags]),
        steps=_relative(before, after),
        both=len(both),
        won=won,
        lost=lost,
        p=mcnemar(len(lost), len(won)),
    )


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """pass@1 with its interval, and means over all tasks."""
    tokens, forwards = (sum(row[key] for row in rows) for key in ("tokens", "forwards"))
    wall = sum(row["wall_s"] for row in rows)
    return {
        "pass@1": Estimate.of([float(row["ok"]) for row in rows]).as_list(),
        "steps_per_task": Estimate.of([float(row["forwards"]) for row in rows]).as_list(),
        "tokens_per_task": round(tokens / len(rows), 2),
        "tokens_per_forward": round(tokens / forwards, 3) if forwards else 0.0,
        "tokens_per_s": round(tokens / wall, 1) if wall else 0.0,
    }


def verdict(comparison: Comparison) -> tuple[bool, str]:
    """Whether the new heads are promoted, and why. Not worse: pass@1 does not fall. Better: the interval of
    the gain in pass@1, or of the change in steps, lies wholly on the good side, over MIN_TASKS or
    more tasks."""
    points = 100 * comparison.difference.value
    if points < 0:
        return False, f"pass@1 fell by {-points:.1f} points"
    if comparison.difference.low > 0 and comparison.tasks >= MIN_TASKS:
        return True, f"pass@1 rose by {points:.1f} points"
    if comparison.steps.high < 0 and comparison.both >= MIN_TASKS:
        return True, f"pass@1 did not fall, and {-100 * comparison.steps.value:.1f} % fewer steps"
    return False, "neither pass@1 nor steps improved by more than chance"


def _relative(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """Interval of mean(after) / mean(before) - 1."""
    if not before:
        return Estimate(math.nan, math.nan, math.nan)
    a, b = np.asarray(before), np.asarray(after)
    rng = np.random.default_rng(0)
    pick = rng.integers(0, len(a), (BOOTSTRAP, len(a)))
    ratios = b[pick].mean(1) / a[pick].mean(1) - 1
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Estimate(float(b.mean() / a.mean() - 1), float(low), float(high))
