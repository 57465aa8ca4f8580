"""Runs as series of accuracy against parallelism: a line a way of diffusion, a point for the rest.

`diffusion` runs that differ in `threshold` alone are one series, since the threshold trades accuracy for
parallelism; each block size, rule, window, temperature and model has its own. The lossless decoders (`ar`,
`verified`, `lookup`) have no such trade: each of their runs is a point.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.curve import Point, aup
from evals.errors import UsageError
from evals.rundir import CONFIG, RunFolder
from evals.summary import summarise

_TRADE = "threshold"
_TOLD = (
    "block",
    "commit",
    "rule",
    "window",
    "temperature",
    "top_p",
    "max_tokens",
    "heads",
    "model",
    "limit",
    "tasks",
    "n",
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A run with verdicts. settings: where they leave it open, the rules that it went by. rho: tokens per
    forward; accuracy and its 95 % interval in percent.
    """

    place: Path
    benchmark: str
    settings: dict[str, Any]
    tasks: int
    rho: float
    accuracy: float
    low: float
    high: float

    @property
    def kind(self) -> tuple[tuple[str, Any], ...]:
        """What a series has in common: settings that were given, by name."""
        left_out = (_TRADE, "device", "seed") if self.line else ("device", "seed")
        given = ((key, value) for key, value in self.settings.items() if value not in (None, ""))
        return tuple(sorted((key, value) for key, value in given if key not in left_out))

    @property
    def line(self) -> bool:
        """Is there accuracy to trade for parallelism?"""
        return bool(self.settings["decode"] == "diffusion")

    @property
    def mark(self) -> str:
        """What tells it from the others of its series."""
        value = self.settings.get(_TRADE)
        return f"{value:g}" if value is not None else "default"


@dataclass(frozen=True, slots=True)
class Series:
    """runs: by parallelism. area: AUP of a line, against the best accuracy of all runs; None for points."""

    label: str
    line: bool
    runs: tuple[Judged, ...]
    area: float | None


def find_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """The run folders at or below `paths`. Raises UsageError where there is none."""
    found: dict[Path, RunFolder] = {}
    for path in paths:
        here = sorted(file.parent for file in path.rglob(CONFIG)) if path.is_dir() else []
        if not here:
            raise UsageError(
                f"{path}: no run here or below; give folders made by `evals run` or `evals bench`"
            )
        found.update((place.resolve(), RunFolder(place)) for place in here)
    return list(found.values())


def judged(folder: RunFolder) -> Judged | None:
    """None for a run that nothing of is judged yet, or that made no forward (reference solutions)."""
    summary, config = summarise(folder), folder.config
    settings = {**config["settings"], **config["model"].get("rules", {})}
    if not summary["n_samples"] or not summary["tpf"]:
        return None
    low, high = (100 * bound for bound in summary["ci95"])
    accuracy = 100 * summary["pass_at_1"]
    return Judged(
        folder.path, summary["dataset"], settings, summary["n_tasks"], summary["tpf"], accuracy, low, high
    )


def series(runs: Sequence[Judged]) -> list[Series]:
    """Lines first, then points. Raises UsageError for runs of different benchmarks."""
    names = sorted({run.benchmark for run in runs})
    if len(names) > 1:
        raise UsageError(f"these are runs of {' and '.join(names)}: a curve is of one benchmark")
    groups: dict[tuple[tuple[str, Any], ...], list[Judged]] = {}
    for run in runs:
        groups.setdefault(run.kind, []).append(run)
    best = max((run.accuracy for run in runs), default=0.0)
    varied = _varied([dict(kind) for kind in groups])
    made = []
    for kind, members in groups.items():
        ordered = tuple(sorted(members, key=lambda run: (run.rho, run.accuracy)))
        line = members[0].line
        area = aup([Point(run.rho, run.accuracy) for run in ordered], best) if line else None
        made.append(Series(_label(dict(kind), varied), line, ordered, area))
    return sorted(made, key=lambda one: (not one.line, one.label))


def _varied(kinds: Sequence[dict[str, Any]]) -> set[str]:
    """What two kinds have otherwise, or one of two of the same decoder has not; what another decoder does not
    know at all tells nothing.
    """
    return {
        key
        for one, other in itertools.combinations(kinds, 2)
        for key in {**one, **other}
        if one.get(key) != other.get(key)
        and (one["decode"] == other["decode"] or (key in one and key in other))
    }


def _label(settings: dict[str, Any], varied: set[str]) -> str:
    """The decoder, then what differs between the series."""
    told = (f"{key} {settings[key]}" for key in _TOLD if key in varied and key in settings)
    return ", ".join((str(settings["decode"]), *told))
