"""A rollout: which token became visible in which pass, and how far successive states are apart.

A pass is `(at, new)`: `at` answer tokens were committed before it, and `new` holds (position, token,
probability) of each token that it showed or rewrote. That is all a training run needs to rebuild the states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MASK = -1
New = tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class Pass:
    at: int
    new: tuple[New, ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt at a task. status: its verdict; cut: judged by a prefix, decoding ended there."""

    task: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    passes: tuple[Pass, ...]
    status: str
    cut: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> Rollout:
        """From `as_row`."""
        passes = tuple(Pass(at, tuple((p, t, c) for p, t, c in new)) for at, new in row["passes"])
        return cls(row["task"], tuple(row["prompt"]), tuple(row["answer"]), passes, row["status"], row["cut"])

    def as_row(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "task": self.task,
            "prompt": self.prompt,
            "answer": self.answer,
            "passes": [(p.at, p.new) for p in self.passes],
            "status": self.status,
            "cut": self.cut,
        }

    def states(self) -> Iterator[tuple[Pass, dict[int, int]]]:
        """Each pass with the visible tokens (position -> token) before it."""
        visible: dict[int, int] = {}
        for made in self.passes:
            yield made, dict(visible)
            visible |= {position: token for position, token, _ in made.new}

    def surrogate_steps(self) -> float:
        """Length of the trajectory as Seed Diffusion (arXiv 2508.02193) takes it: inverse to the expected
        edit distance, here of successive states, times the answer's length, so that it is the number of
        passes when nothing is rewritten."""
        width = len(self.answer)
        if not width or not self.passes:
            return 0.0
        line, total = [MASK] * width, 0
        for made in self.passes:
            after = list(line)
            for position, token, _ in made.new:
                if position < width:
                    after[position] = token
            total += levenshtein(line, after)
            line = after
        return width * len(self.passes) / max(1, total)

    def likelihood(self) -> float:
        """Sum of the log probabilities of all tokens when they became visible."""
        import math

        return sum(math.log(max(c, 1e-9)) for made in self.passes for _, _, c in made.new)


def levenshtein(a: Sequence[int], b: Sequence[int]) -> int:
    """Insertions, deletions and substitutions between two lines of tokens (Wagner and Fischer 1974), after
    their common beginning and end are taken off."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]
