"""`agent trajectories list|show|export`: what runs recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.group("trajectories", short_help="List, show and export what runs recorded.")
def trajectories() -> None:
    """Trajectories: one a run, ATIF v1.8, under the data folder's sessions/.

    ID is a session's id, the beginning of one, or 'last'.
    """


@trajectories.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="The newest N.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def list_command(limit: int, as_json: bool) -> None:
    """The newest trajectories, newest first."""
    from agent import session

    rows = [_row(s) for s in session.sessions()[:limit]]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        click.echo("no trajectories yet; 'agent run TASK.md' makes one")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("session", "task", "status", "model", "calls", "tokens", box=None)
    for row in rows:
        table.add_row(
            *(Text(str(row[k])) for k in ("session_id", "task", "status", "model", "calls", "tokens"))
        )
    Console(highlight=False).print(table)


def _row(session: Any) -> dict[str, Any]:
    """A session in one row; one that cannot be read says so instead of hiding the others."""
    from agent.untrusted import one_line

    row: dict[str, Any] = dict.fromkeys(("task", "model"), "") | {
        "status": "damaged",
        "calls": 0,
        "tokens": 0,
    }
    try:
        document = json.loads(session.trajectory.read_text("utf-8"))
    except (OSError, ValueError):
        return {"session_id": session.id, **row}
    metrics, extra = document["final_metrics"], document["extra"]
    outcome = extra["outcome"] or {"status": "unfinished"}
    return {
        "session_id": session.id,
        "task": one_line(extra["task"], 40),
        "status": outcome["status"],
        "model": one_line(document["agent"]["model_name"], 40),
        "calls": metrics["extra"]["model_calls"],
        "tokens": metrics["total_completion_tokens"],
        "trajectory": str(session.trajectory),
    }


@trajectories.command("show")
@click.argument("session_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="The ATIF document.")
def show_command(session_id: str, as_json: bool) -> None:
    """What happened in a run, step by step."""
    from agent import session
    from agent.trajectory import read_trajectory

    document = read_trajectory(session.find(session_id))
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    from agent.replay import show

    show(document)


@trajectories.command("export")
@click.argument("session_id", metavar="ID")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: stdout]"
)
def export_command(session_id: str, out: Path | None) -> None:
    """The run as an ATIF v1.8 document, built from its events (complete also after a crash)."""
    from agent import session
    from agent.errors import SessionError
    from agent.trajectory import export, read_trajectory

    found = session.find(session_id)
    if out is None:
        click.echo(json.dumps(read_trajectory(found), indent=1))
        return
    try:
        export(found, out)
    except OSError as error:
        raise SessionError(f"{out}: cannot be written ({error.strerror})") from error
    click.echo(f"{out}")
