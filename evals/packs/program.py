"""A small verified Python program of our own, a seed of the repair and edit benchmarks: one function, inputs.

The text of a program is what a model sees (mutated); inputs are drawn from a seed, so nothing is memorised.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from evals.packs.bend_task import Draw


@dataclass(frozen=True, slots=True)
class Program:
    """doc: what it does, in one sentence; it becomes the docstring. draws: one generator an argument."""

    entry: str
    doc: str
    source: str
    draws: tuple[Draw, ...]
    edges: tuple[tuple[Any, ...], ...]

    def inputs(self, count: int = 12) -> list[tuple[Any, ...]]:
        rng = random.Random(self.entry)
        return [*self.edges, *(tuple(draw(rng) for draw in self.draws) for _ in range(count))]


def make_program(doc: str, source: str, *draws: Draw, edges: tuple[tuple[Any, ...], ...]) -> Program:
    entry = source.split("(", 1)[0].removeprefix("\ndef ").strip()
    return Program(entry, doc, source.strip("\n") + "\n", draws, edges)
