"""`evals list`: what can be run."""

from __future__ import annotations

import json
import shutil
import textwrap

import click


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a benchmark.")
def list_benchmarks(as_json: bool) -> None:
    """The benchmarks, how many tasks each has, and, where its data is missing, how to get it."""
    from evals.benchmark import names, open_benchmark
    from evals.errors import DataError

    for name in names():
        benchmark = open_benchmark(name)
        problem, tasks = benchmark.problem(), None
        if not problem:
            try:
                tasks = len(benchmark.tasks)
            except DataError as error:  # a file that is there and does not fit: the others are listed too
                problem = str(error)
        if as_json:
            click.echo(
                json.dumps({"name": name, "title": benchmark.title, "tasks": tasks, "problem": problem})
            )
        else:
            about = problem or f"{tasks} tasks, {benchmark.title}"
            click.echo(_wrapped(f"{name:15} {about}"))


def _wrapped(line: str) -> str:
    """Behind the names' column; words such as flags and files stay whole."""
    return textwrap.fill(
        line,
        shutil.get_terminal_size().columns,
        subsequent_indent=" " * 16,
        break_on_hyphens=False,
        break_long_words=False,
    )
