"""`verify explain FILE.bend`: what of a Bend program runs in parallel."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from verify.bend.explain import Report

_EXIT = {
    "unavailable": 5,
    "internal_error": 5,
    "unsupported": 2,
    "refused": 2,
    "timeout": 3,
    "fuel": 3,
    "oom": 3,
}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--entry", default="", help="Explain a call of this function instead of main.")
@click.option("--args", "arguments", default="[]", help="Its arguments, as a JSON list.")
@click.option(
    "--fuel",
    default=100_000_000,
    type=click.IntRange(1, 1 << 62),
    show_default=True,
    help="Interactions to spend at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(file: Path, *, entry: str, arguments: str, fuel: int, as_json: bool) -> None:
    """Report which parts of a Bend program run in parallel, its interactions, its depth and a speed-up
    estimate."""
    import dataclasses

    from verify.bend import explain as explaining

    try:
        values = json.loads(arguments)
    except ValueError as error:
        raise click.UsageError(f"--args is not JSON: {error}") from None
    try:
        code = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file}: not UTF-8 text") from None
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from None
    if not isinstance(values, list):
        raise click.UsageError("--args must be a JSON list")
    limits = dataclasses.replace(explaining.LIMITS, fuel=fuel)
    try:
        report = explaining.explain(code, entry=entry, arguments=values, limits=limits)
    except explaining.CannotExplain as error:
        click.echo(f"verify explain: {error.status}: {error}", err=True)
        sys.exit(_EXIT.get(str(error.status), 1))
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        _show(report)


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(title="Read from the text")
    for column in ("line", "function", "shape", "why"):
        table.add_column(column)
    for each in report.functions:
        table.add_row(str(each.line), Text(each.name), each.shape, each.why)
    console.print(table)
    console.print(f"interactions  {report.interactions:,} (measured, {report.backend})")
    if report.rounds is None:
        console.print("depth and width need the worker: run `verify install bend`")
        return
    console.print(f"depth         {report.rounds:,} rounds (measured; unlimited processors)")
    console.print(f"widest round  {report.widest:,} interactions at once")
    speedups = ", ".join(f"{processors:,}: {times:g}x" for processors, times in report.speedup.items())
    console.print(f"speed-up      {speedups} (estimated upper bound by processors)")
