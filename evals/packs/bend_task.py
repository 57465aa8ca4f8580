"""One Bend task: a signature, a sentence, a Bend solution, and a Python reference that says what is right.

A check calls the Bend program on the edge inputs and on seeded random ones and compares with the reference,
so a task is a property ("equals the reference") and not a handful of examples.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Draw = Callable[[random.Random], Any]
RANDOM_INPUTS = 16


@dataclass(frozen=True, slots=True)
class BendTask:
    """edges: argument tuples that are always tried. draws: one generator an argument."""

    name: str
    category: str
    signature: str
    text: str
    solution: str
    reference: Callable[..., Any]
    draws: tuple[Draw, ...]
    edges: tuple[tuple[Any, ...], ...] = ()

    def inputs(self) -> list[tuple[Any, ...]]:
        rng = random.Random(self.name)
        drawn = [tuple(draw(rng) for draw in self.draws) for _ in range(RANDOM_INPUTS)]
        return [*self.edges, *drawn]


def nat(low: int, high: int) -> Draw:
    return lambda rng: rng.randint(low, high)


def lists(item: Draw, longest: int = 8) -> Draw:
    return lambda rng: [item(rng) for _ in range(rng.randint(0, longest))]


def words(alphabet: str, longest: int = 8) -> Draw:
    return lambda rng: "".join(rng.choice(alphabet) for _ in range(rng.randint(0, longest)))


def pairs(first: Draw, second: Draw) -> Draw:
    return lambda rng: (first(rng), second(rng))
