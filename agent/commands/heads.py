"""`agent heads list|show|use|rollback`: which version of a base's heads is loaded by default."""

from __future__ import annotations

import json
from typing import Any

import click

BASE = click.option(
    "--base", default="qwen2.5-coder-0.5b", show_default=True, help="Whose heads: a name or a folder."
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.group("heads", short_help="List, choose and roll back versions of the heads.")
def heads() -> None:
    """Versions of the heads: 0 ships with the project, the others were made by 'agent finetune'."""


@heads.command("list")
@BASE
@AS_JSON
def list_command(base: str, as_json: bool) -> None:
    """All versions; the one in use is marked."""
    from agent.headstore import HeadStore

    kept = HeadStore.of(base)
    current = kept.current
    rows: list[dict[str, Any]] = [
        {
            "version": v.number,
            "in_use": v.number == current,
            "parent": v.note.get("parent"),
            "made": v.note.get("made", ""),
            "note": v.note.get("summary", "shipped" if v.folder else "the bare base"),
            "folder": str(v.folder or ""),
        }
        for v in kept.versions()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from agent.untrusted import one_line

    table = Table("", "version", "parent", "made", "note", box=None)
    for row in rows:
        cells = ("*" if row["in_use"] else "", row["version"], row["parent"], row["made"], row["note"])
        table.add_row(*(Text(one_line("" if cell is None else str(cell), 100)) for cell in cells))
    Console(highlight=False).print(table)


@heads.command("show")
@click.argument("version", type=click.IntRange(0), required=False)
@BASE
@AS_JSON
def show_command(version: int | None, base: str, as_json: bool) -> None:
    """The report of the round that made VERSION (without one: the newest)."""
    from agent.errors import HeadsError
    from agent.headstore import HeadStore

    kept = HeadStore.of(base)
    found = kept.versions()[-1] if version is None else kept.get(version)
    report = found.note.get("report")
    if report is None:
        raise HeadsError(f"version {found.number} of {base} was made by no round: it has no report")
    if as_json:
        click.echo(json.dumps({"version": found.number, "folder": str(found.folder), "report": report}))
        return
    from rich.console import Console

    from agent.finetune.report import show

    show(report | {"version": found.number}, Console(highlight=False))


@heads.command("use")
@click.argument("version", type=click.IntRange(0))
@BASE
@AS_JSON
def use_command(version: int, base: str, as_json: bool) -> None:
    """Load VERSION by default from now on (0: the shipped heads)."""
    from agent.headstore import HeadStore

    before = HeadStore.of(base).use(version)
    _say(base, version, before, as_json)


@heads.command("rollback")
@BASE
@AS_JSON
def rollback_command(base: str, as_json: bool) -> None:
    """Go back to the version used before this one."""
    from agent.headstore import HeadStore

    kept = HeadStore.of(base)
    before = kept.current
    _say(base, kept.rollback(), before, as_json)


def _say(base: str, version: int, before: int, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"base": base, "version": version, "before": before}))
    else:
        click.echo(f"{base}: version {version} of the heads is in use (before: {before})")
