"""`evals check-evalplus FILE`: stock evalplus beside ours, difference by difference."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click


@click.command("check-evalplus", context_settings={"max_content_width": 110})
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--benchmark",
    "name",
    type=click.Choice(["humaneval+", "humaneval+mini", "mbpp+"]),
    help="Default: told by the task ids.",
)
@click.option("--data", type=click.Path(path_type=Path), help="The benchmark's data file.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Processes for each side; default: the cores.")
@click.option("--time-limit", default=1200.0, show_default=True, help="Seconds for stock evalplus in all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on stdout.")
def check_evalplus(
    file: Path, name: str | None, data: Path | None, jobs: int | None, time_limit: float, as_json: bool
) -> int:
    """Judge FILE (samples, or a run folder) with stock evalplus and with ours, and list each task where they
    differ.

    Exit code 1 when they differ on a task that is not a listed bug of evalplus.
    """
    from evals.benchmark import open_benchmark
    from evals.benchmarks.evalplus import EvalPlusBenchmark
    from evals.errors import UsageError
    from evals.official import differences, run_evalplus
    from evals.report.progress import display
    from evals.run import default_jobs, evaluate
    from evals.rundir import SAMPLES, RunFolder
    from evals.sample import guess_benchmark, read_samples
    from evals.settings import Settings
    from evals.source import Given

    if file.is_dir():
        file = RunFolder.existing(file).path / SAMPLES
    name = name or ("mbpp+" if guess_benchmark(file, data) == "mbpp+" else "humaneval+")
    benchmark = open_benchmark(name, data)
    if not isinstance(benchmark, EvalPlusBenchmark):
        raise UsageError(f"{name} is no benchmark of evalplus")
    samples, warnings, info = read_samples(file, benchmark, partial=True)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    jobs = jobs or default_jobs()
    tasks = ",".join(dict.fromkeys(s.task_id for s in samples))
    settings = Settings(benchmark=name, model="file", tasks=tasks)
    with tempfile.TemporaryDirectory(prefix="evals-") as scratch:
        with display(benchmark.title, quiet=as_json) as (listener, _):
            ours = evaluate(
                benchmark,
                settings,
                Path(scratch),
                source=Given(samples, info),
                jobs=jobs,
                listener=listener,
                keys=[s.key for s in samples],
            )
        if not as_json:
            click.echo("running stock evalplus (the first time it computes its ground truth)", err=True)
        official = run_evalplus(benchmark, samples, parallel=jobs, limit_s=time_limit)
        rows = differences(RunFolder(Path(scratch)), official, benchmark.plus)
    unexplained = [row for row in rows if not row["known"]]
    result = {
        "benchmark": name,
        "samples": len(samples),
        "differ": len(rows),
        "unexplained": len(unexplained),
        "ours_pass": sum(n for status, n in ours["statuses"].items() if status == "passed"),
        "evalplus_pass": sum(base == plus == "pass" for base, plus in official.statuses.values()),
        "ours_s": ours["wall_s"],
        "evalplus_s": round(official.wall_s, 2),
        "differences": rows,
    }
    if as_json:
        click.echo(json.dumps(result))
    else:
        from evals.report.table import print_differences

        print_differences(result)
    return 1 if unexplained else 0
