"""What a round of rollouts is worth: rewards within each task, advantages, the best attempt, figures."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from model.train.onpolicy.trajectory import Rollout

Reward = Callable[[str, float, float], float | None]
PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Weighted:
    """A rollout, its weight in the on-policy term, and whether it is its task's best solved one."""

    rollout: Rollout
    weight: float
    best: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """The rollouts of a round, ready to be learned from. figures: for the log."""

    round: int
    items: tuple[Weighted, ...]
    figures: dict[str, float]

    @classmethod
    def of(cls, number: int, rollouts: Sequence[Rollout], reward: Reward, method: str) -> Pool:
        """Rollouts of one task are neighbours. An attempt whose reward is None is dropped and counted by
        its status. `surrogate`: reward minus the task's mean (no division by the spread: it would make a
        pass saved weigh as much as a test passed). `best_of_k`: 1 for the best solved attempt. Best is
        correct, then rewarded, then short, then likely."""
        items: list[Weighted] = []
        rewards: list[float] = []
        dropped: Counter[str] = Counter()
        for _, members in groupby(rollouts, key=lambda r: r.task):
            group = list(members)
            steps = [r.surrogate_steps() if method == "surrogate" else float(len(r.passes)) for r in group]
            solved = [s for r, s in zip(group, steps, strict=True) if r.status == PASSED]
            median = statistics.median(solved) if solved else 1.0
            judged: list[tuple[float, float, Rollout]] = []
            for rollout, count in zip(group, steps, strict=True):
                value = reward(rollout.status, count, median)
                if value is None:
                    dropped[rollout.status] += 1
                else:
                    judged.append((value, -count, rollout))
            if not judged:
                continue
            values = [value for value, _, _ in judged]
            rewards += values
            mean = statistics.fmean(values)
            ranked = [one for one in judged if one[2].status == PASSED]
            best = max(ranked, key=lambda one: (*one[:2], one[2].likelihood()))[2] if ranked else None
            for value, _, rollout in judged:
                top = rollout is best
                weight = value - mean if method == "surrogate" else float(top)
                if weight or top:
                    items.append(Weighted(rollout, weight, top))
        passed = [r for r in rollouts if r.status == PASSED]
        figures = {
            "rollout_reward": statistics.fmean(rewards) if rewards else 0.0,
            "rollout_solved": len(passed) / max(1, len(rewards)),
            "rollout_steps": float(statistics.median(len(r.passes) for r in passed)) if passed else 0.0,
            "rollout_cut": float(sum(r.cut for r in rollouts)),
            **{f"rollout_dropped_{status}": float(count) for status, count in sorted(dropped.items())},
        }
        return cls(number, tuple(items), {name: round(value, 4) for name, value in figures.items()})
