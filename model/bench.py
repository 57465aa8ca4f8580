"""What `model bench` measures: groups of rows, one small module each in `model/bench_rows/`.

A group module has `TITLE: str` and `rows(options) -> Iterator[Row]`; it is found by being there. One with
`ON_REQUEST = True` runs only when it is named. Peers run in the same process, on the same inputs, in
alternating order, so that the ratio means something on a busy machine.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
import statistics
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. value: in `unit`, a median where `spread` is given (interquartile range over median, 0.1 =
    10 %).

    beside: the peer's figure in the same unit, and `peer` who that is; ratio: value / beside. error: why
    there is no value.
    """

    name: str
    value: float | None
    unit: str
    beside: float | None = None
    ratio: float | None = None
    spread: float | None = None
    peer: str = ""
    note: str = ""
    error: str = ""

    @classmethod
    def failed(cls, name: str, error: Exception) -> Row:
        """The row of a measurement that raised; the place where it did, for whoever mends it."""
        line = " ".join(str(error).split()) or "no message"
        place = traceback.extract_tb(error.__traceback__)[-1:]
        where = "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in place)
        return cls(name, None, "", error=f"{type(error).__name__}: {line[:300]}{where}")

    def to_dict(self) -> dict[str, Any]:
        return {key: round(v, 5) if isinstance(v, float) else v for key, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """repeats: of each measurement. quick: the smallest run that still says something. plot: PNG that the
    group `width` draws. heads: as in model.load.load, for the groups that measure drafts.
    """

    model: str
    device: str
    repeats: int = 3
    max_tokens: int = 32
    quick: bool = False
    plot: Path | None = None
    heads: str | None = None


def groups() -> dict[str, str]:
    """{name: title} of the groups that exist."""
    import model.bench_rows as package

    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return {name: str(_module(name).TITLE) for name in names}


def by_default() -> list[str]:
    """The groups that run when none is named."""
    return [name for name in groups() if not getattr(_module(name), "ON_REQUEST", False)]


def _module(group: str) -> Any:
    return importlib.import_module(f"model.bench_rows.{group}")


def run(group: str, options: BenchOptions) -> Iterator[Row]:
    """The rows of one group as they are measured. What a group raises becomes a row, so that the others still
    run; the memory it took on a GPU is free afterwards.
    """
    import torch

    yield from guarded(group, lambda: _module(group).rows(options))
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def guarded(name: str, rows: Callable[[], Iterable[Row]]) -> Iterator[Row]:
    """The rows, and one that failed under this name in place of those that an error took away."""
    try:
        yield from rows()
    except Exception as error:  # whatever a device raises is what the row says
        yield Row.failed(name, error)


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
