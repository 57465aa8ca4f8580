"""The `verify` command. Each sub-command is a module of its own, imported only when it runs.

Exit codes: 0 passed or done, 1 the candidate's fault (or an escape found by `verify abuse`), 2 usage,
5 sandbox or infrastructure failure, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys

import click

# name -> (module:command, what `verify --help` says of it)
COMMANDS: dict[str, tuple[str, str]] = {
    "abuse": ("verify.commands.abuse:abuse", "Run hostile programs against a backend and look for escapes."),
    "bench": (
        "verify.commands.bench:bench",
        "Measure checks beside their peers.",
    ),
    "doctor": ("verify.commands.doctor:doctor", "Test what each backend claims by trying to break it."),
    "explain": ("verify.commands.explain:explain", "Which parts of a Bend program run in parallel."),
    "install": ("verify.commands.install:install", "Build what a backend needs: bend or python-image."),
    "run": ("verify.commands.run:run", "Check a program against its tests and print the verdict."),
}


class LazyGroup(click.Group):
    """Lists its commands from a table and imports one only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trihead")
def cli() -> None:
    """Verdicts that cannot be forged, on Python and Bend programs, in a sandbox."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    try:
        code = cli.main(args=argv, prog_name="verify", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
