"""`verify bench`: figures beside their peers, and the soak test."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text


@click.command()
@click.option(
    "--backend", type=click.Choice(["auto", "bubblewrap", "docker"]), default="auto", show_default=True
)
@click.option("--lang", type=click.Choice(["python", "bend"]), default="python", show_default=True)
@click.option(
    "--repeats",
    default=3,
    type=click.IntRange(min=1),
    show_default=True,
    help="Of all 164 HumanEval tasks.",
)
@click.option(
    "--workers",
    default=2,
    type=click.IntRange(1, 64),
    show_default=True,
    help="Parallel checks for checks a second.",
)
@click.option("--quick", is_flag=True, help="Every eighth task, once.")
@click.option("--soak", "soak_count", type=click.IntRange(min=1), help="Instead: N mixed checks with faults.")
@click.option("--property", "as_property", is_flag=True, help="Bend: a property batch.")
@click.option("--gpu", is_flag=True, help="With --property: run-cu beside run-c, on a machine with a GPU.")
@click.option(
    "--cases-log2",
    type=click.IntRange(1, 22),
    help="With --property: 2^K cases; default 10, with --gpu 18.",
)
@click.option("--json", "as_json", is_flag=True, help="Print rows as a JSON list.")
def bench(
    backend: str,
    lang: str,
    repeats: int,
    workers: int,
    soak_count: int | None,
    cases_log2: int | None,
    *,
    quick: bool,
    as_property: bool,
    gpu: bool,
    as_json: bool,
) -> int:
    """Measure checks beside their peers in one run: median, spread and ratio. Exit code 5 without the
    backend.
    """
    from verify.bend.bench import BenchError
    from verify.sandbox import SandboxError

    try:
        if soak_count is not None:
            return _soak(soak_count, backend, as_json)
        rows: Iterable[dict[str, Any]]
        if as_property or gpu:
            from verify.bend.bench import gpu_rows, property_rows

            rows = (
                gpu_rows(log2_cases=cases_log2 or 18) if gpu else property_rows(log2_cases=cases_log2 or 10)
            )
        elif lang == "bend":
            from verify.bend.bench import rows as bend_rows

            rows = bend_rows()
        else:
            from verify.bench import BenchOptions
            from verify.bench import rows as python_rows

            options = BenchOptions(backend, repeats, quick, workers)
            rows = (row.to_dict() for row in python_rows(options))
        _print(rows, as_json)
    except (SandboxError, BenchError) as error:
        click.echo(f"verify bench: {error}", err=True)
        return 5
    return 0


def _print(rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(list(rows)))
        return
    console = Console(stderr=True)
    with console.status("measuring"):
        table = bench_table(rows)
    Console().print(table)


def bench_table(rows: Iterable[dict[str, Any]]) -> Table:
    """Rows of either benchmark in 80 columns: figures in columns, the peer and the note under the name."""
    table = Table("what", box=None, pad_edge=False)
    for name in ("value", "beside", "ratio", "spread"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        peer = row.get("peer")
        what = Text(row["name"])
        for line in (f"beside {peer}" if peer else "", row.get("note")):
            if line:
                what.append(f"\n  {line}", "dim")
        figures = [_number(row.get(name)) for name in ("beside", "ratio", "spread")]
        table.add_row(what, f"{_number(row['value'])} {row['unit']}", *figures)
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"


def _soak(count: int, backend: str, as_json: bool) -> int:
    from rich.progress import Progress

    from verify.soak import soak

    console = Console(stderr=True)
    with Progress(console=console, disable=as_json or not console.is_terminal) as progress:
        task = progress.add_task("soak", total=count)
        result = soak(count, backend, lambda done: progress.update(task, completed=done))
    fields = result.to_dict()
    if as_json:
        click.echo(json.dumps(fields))
        return int(result.wrong > 0)
    table = Table("", "before", "middle", "after", "closed", title=f"{count} checks in {result.wall_s:.0f} s")
    for name in fields["before"]:
        table.add_row(
            name, *(str(fields[moment][name]) for moment in ("before", "middle", "after", "closed"))
        )
    Console().print(table)
    words = ", ".join(f"{number} {name}" for name, number in sorted(result.statuses.items()))
    click.echo(f"{words}; {result.wrong} not as wanted")
    return int(result.wrong > 0)
