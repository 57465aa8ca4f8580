"""`agent sessions list|show|resume`: the runs that were saved, and a new try at one that did not end well."""

from __future__ import annotations

import click

from agent.commands.trajectories import list_command, show_command


@click.group("sessions", short_help="List, show and resume what runs saved.")
def sessions() -> None:
    """Sessions: one folder a run, under the data folder's sessions/.

    ID is a session's id, the beginning of one, or 'last'.
    """


sessions.add_command(list_command, "list")
sessions.add_command(show_command, "show")


@sessions.command("resume")
@click.argument("session_id", metavar="[ID]", default="last")
@click.option(
    "--output", type=click.Choice(["text", "json", "stream-json"]), default="text", show_default=True
)
@click.pass_context
def resume_command(ctx: click.Context, session_id: str, output: str) -> int:
    """Take up the task of a run that was killed, cancelled or failed, as it was called then.

    Files that a killed run left changed are put back first. The run is a new session; exit codes are those of
    'agent run'.
    """
    from agent import session
    from agent.commands.run import run_command
    from agent.errors import SessionError
    from agent.trajectory import read_trajectory
    from agent.workspace import Workspace

    found = session.find(session_id)
    call = session.read_call(found)
    outcome = read_trajectory(found)["extra"]["outcome"]
    if outcome and outcome["status"] == "solved":
        raise SessionError(f"{found.id} was solved; run its task file again to solve it anew")
    if outcome is None and found.before.is_dir():
        Workspace.recover(found.before)
    return int(ctx.invoke(run_command, **call, output=output))
