"""What `model bench` measures: groups of rows, one small module each in `model/bench_rows/`.

A group module has `TITLE: str` and `rows(options) -> Iterator[Row]`; it is found by being there. Peers run
in the same process, on the same inputs, in alternating order, so that the ratio means something on a busy
machine.
"""

from __future__ import annotations

import importlib
import pkgutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. value: in `unit`, a median where `spread` is given (interquartile range over median, 0.1 =
    10 %).

    beside: the peer's figure in the same unit, and `peer` who that is; ratio: value / beside.
    """

    name: str
    value: float
    unit: str
    beside: float | None = None
    ratio: float | None = None
    spread: float | None = None
    peer: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {key: round(v, 5) if isinstance(v, float) else v for key, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """repeats: of each measurement. quick: the smallest run that still says something."""

    model: str
    device: str
    repeats: int = 5
    max_tokens: int = 64
    quick: bool = False


def groups() -> dict[str, str]:
    """{name: title} of the groups that exist."""
    import model.bench_rows as package

    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return {name: str(importlib.import_module(f"model.bench_rows.{name}").TITLE) for name in names}


def run(group: str, options: BenchOptions) -> Iterator[Row]:
    """The rows of one group as they are measured."""
    rows: Iterator[Row] = importlib.import_module(f"model.bench_rows.{group}").rows(options)
    return rows


def summary(values: Sequence[float]) -> tuple[float, float]:
    """(median, interquartile range / median) of some measurements; the spread of fewer than 2 is 0."""
    middle = statistics.median(values)
    if len(values) < 2 or middle == 0:
        return middle, 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, (high - low) / middle


def alternate(ours: Callable[[], T], peer: Callable[[], T], repeats: int) -> tuple[list[T], list[T]]:
    """Run both `repeats` times, ours first on even turns, the peer first on odd ones; a warm-up each comes
    before.
    """
    ours()
    peer()
    mine: list[T] = []
    theirs: list[T] = []
    for turn in range(repeats):
        for measure, into in ((ours, mine), (peer, theirs))[:: 1 if turn % 2 == 0 else -1]:
            into.append(measure())
    return mine, theirs
