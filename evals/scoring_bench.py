"""How long judging takes: ours and stock evalplus on the same samples, alternating."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from evals.benchmarks.evalplus import EvalPlusBenchmark
from evals.official import run_evalplus
from evals.run import evaluate
from evals.sample import Sample
from evals.settings import Settings
from evals.source import Given

PEER_LIMIT_S = 1800.0


def measure(
    benchmark: EvalPlusBenchmark, samples: list[Sample], *, repeat: int, jobs: int, peer: bool
) -> list[dict[str, Any]]:
    """Rows of name, value, unit, beside, ratio, spread. The first run of each side fills its cache,
    uncounted.
    """
    ours: list[float] = []
    theirs: list[float] = []
    passed: dict[str, int] = {}
    for turn in range(repeat + 1):
        started = time.perf_counter()
        passed["ours"] = _ours(benchmark, samples, jobs)
        ours.append(time.perf_counter() - started)
        if peer:
            official = run_evalplus(benchmark, samples, parallel=jobs, limit_s=PEER_LIMIT_S)
            theirs.append(official.wall_s)
            passed["evalplus"] = sum(base == plus == "pass" for base, plus in official.statuses.values())
        if turn == 0:
            first = (ours.pop(), theirs.pop() if theirs else None)
    beside = round(median(theirs), 2) if theirs else None
    value = round(median(ours), 2)
    label = f"{benchmark.name} x{len(samples)}"
    return [
        _row(f"score {label}", value, "s", beside, ours),
        _row(f"score {label} first run", round(first[0], 2), "s", first[1] and round(first[1], 2), []),
        _row(f"passed {label}", passed["ours"], "samples", passed.get("evalplus"), []),
    ]


def _row(name: str, value: float, unit: str, beside: float | None, values: list[float]) -> dict[str, Any]:
    spread = [round(min(values), 2), round(max(values), 2)] if values else []
    ratio = round(value / beside, 3) if beside else None
    return {"name": name, "value": value, "unit": unit, "beside": beside, "ratio": ratio, "spread": spread}


def _ours(benchmark: EvalPlusBenchmark, samples: list[Sample], jobs: int) -> int:
    """One whole scoring run into a fresh folder; returns how many passed base and plus."""
    settings = Settings(benchmark=benchmark.name, model="file")
    with tempfile.TemporaryDirectory(prefix="evals-bench-") as scratch:
        summary = evaluate(
            benchmark,
            settings,
            Path(scratch) / "run",
            source=Given(samples, {"name": "bench"}),
            jobs=jobs,
            keys=[sample.key for sample in samples],
        )
    statuses: dict[str, int] = summary["statuses"]
    return statuses.get("passed", 0)
