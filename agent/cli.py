"""The `agent` command. Each sub-command is a module of its own, imported only when it runs.

Without a sub-command the terminal app opens: whatever package registers it under the entry-point group
`trihead.ui` (the agent itself does not know it). Exit codes: 0 done, 1 failed verification, 2 usage, 3 limit
reached, 4 model or format failure, 5 sandbox or infrastructure failure, 130 interrupted.
"""

from __future__ import annotations

import sys

import click

from agent.errors import AgentError
from model.errors import ModelError
from verify.commandline import LazyGroup, run
from verify.distribution import version_option

# name -> (module:command, what `agent --help` says of it)
COMMANDS: dict[str, tuple[str, str]] = {
    "finetune": ("agent.commands.finetune:finetune_command", "Make the heads better with verified runs."),
    "heads": ("agent.commands.heads:heads", "List, choose and roll back versions of the heads."),
    "run": ("agent.commands.run:run_command", "Work on a task file until its tests pass."),
    "sessions": ("agent.commands.sessions:sessions", "List, show and resume what runs saved."),
    "tasks": ("agent.commands.tasks:tasks", "Build tasks with tests out of docstring examples."),
    "trajectories": ("agent.commands.trajectories:trajectories", "List, show and export what runs recorded."),
    "undo": ("agent.commands.undo:undo_command", "Put back the files a run changed."),
}
UI_GROUP = "trihead.ui"
DECODES = ("auto", "ar", "diffusion", "verified", "lookup")


@click.group(
    cls=LazyGroup,
    name="agent",
    table=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@version_option()
@click.option("--model", help="Terminal app: the model.  [default: the default model]")
@click.option(
    "--decode", type=click.Choice(DECODES), help="Terminal app: how tokens are made.  [default: auto]"
)
@click.option("--workdir", help="Terminal app: the folder to work on.  [default: this one]")
@click.pass_context
def cli(ctx: click.Context, /, **settings: str | None) -> int | None:
    """A code agent: from a task to a program that passes its tests.

    Without a command the terminal app opens.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    if ctx.invoked_subcommand is None:
        return _open_ui(ctx, chosen)
    if chosen:
        option = f"--{next(iter(chosen))}"
        raise click.UsageError(
            f"{option} before a command is for the terminal app; put it after the command", ctx
        )
    return None


def _open_ui(ctx: click.Context, settings: dict[str, str]) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the terminal app needs a terminal; use 'agent run TASK.md' here", ctx)
    from verify.distribution import entry_points

    found = entry_points(UI_GROUP)
    if not found:
        raise click.UsageError(f"no terminal app is installed (entry-point group {UI_GROUP})", ctx)
    try:
        app = found[0].load()
    except ModuleNotFoundError as error:
        lack = f"the terminal app needs {error.name}, which is not installed"
        raise click.UsageError(f"{lack}; use 'agent run TASK.md' here", ctx) from error
    return int(app(**settings) or 0)


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    run(cli, argv, known=(AgentError, ModelError))


if __name__ == "__main__":
    main()
