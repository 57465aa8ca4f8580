"""`evals bench`: scoring speed beside stock evalplus, in one run."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import click


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--benchmark",
    "name",
    type=click.Choice(["humaneval+", "humaneval+mini", "mbpp+"]),
    default="humaneval+",
    show_default=True,
)
@click.option("--data", type=click.Path(path_type=Path), help="The benchmark's data file.")
@click.option(
    "--samples", type=click.Path(path_type=Path), help="Samples to judge; default: the reference solutions."
)
@click.option("--repeat", default=5, show_default=True, type=click.IntRange(1, 50))
@click.option("--jobs", type=click.IntRange(1, 64), help="Processes on both sides; default: the cores.")
@click.option("--peer/--no-peer", default=True, show_default=True, help="Also measure stock evalplus.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON line a row: name, value, unit, beside, ratio, spread."
)
def bench(
    name: str,
    data: Path | None,
    samples: Path | None,
    repeat: int,
    jobs: int | None,
    peer: bool,
    as_json: bool,
) -> None:
    """Seconds to judge one sample of every task, warm (expected outputs known), median of --repeat.

    Ours and stock evalplus alternate, each after one run that is not counted, with equal numbers of
    processes.
    """
    from evals.benchmark import open_benchmark
    from evals.benchmarks.evalplus import EvalPlusBenchmark
    from evals.errors import UsageError
    from evals.run import default_jobs
    from evals.sample import Sample, read_samples
    from evals.scoring_bench import measure

    benchmark = open_benchmark(name, data)
    if not isinstance(benchmark, EvalPlusBenchmark):
        raise UsageError(f"{name} is no benchmark of evalplus")
    if samples is None:
        given = [Sample(task.id, 0, task.reference) for task in benchmark.tasks.values()]
    else:
        given, _, _ = read_samples(samples, benchmark, partial=True)
    rows = measure(benchmark, given, repeat=repeat, jobs=jobs or default_jobs(), peer=peer)
    for row in rows:
        click.echo(json.dumps(row) if as_json else _line(row))
    if not as_json:
        click.echo(
            f"{platform.platform()}, Python {platform.python_version()}, {jobs or default_jobs()} processes"
        )


def _line(row: dict[str, Any]) -> str:
    text = f"{row['name']:28} {row['value']:>9} {row['unit']}"
    if row["spread"]:
        text += f"  [{row['spread'][0]}, {row['spread'][1]}]"
    if row["beside"] is not None:
        text += f"  stock evalplus {row['beside']} {row['unit']}, ratio {row['ratio']}"
    return text
