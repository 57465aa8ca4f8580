"""`agent undo [ID]`: put back the files a run changed, also one that was killed."""

from __future__ import annotations

import json

import click


@click.command("undo", short_help="Put back the files a run changed.")
@click.argument("session_id", metavar="[ID]", default="last")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def undo_command(session_id: str, as_json: bool) -> None:
    """Put the files that run ID (default: the last one) changed back as they were before it.

    A file that was edited since by somebody else is left as it is.
    """
    from agent import session
    from agent.workspace import Workspace

    found = session.find(session_id)
    paths = Workspace.recover(found.before) if found.before.is_dir() else ()
    if as_json:
        click.echo(json.dumps({"session_id": found.id, "restored": paths}))
    else:
        click.echo(f"{found.id}: " + (f"put back {', '.join(paths)}" if paths else "nothing to put back"))
