"""The `verify` command. Each sub-command is a module of its own, imported only when it runs.

Exit codes: 0 passed or done, 1 the candidate's fault (or an escape found by `verify abuse`), 2 usage,
5 sandbox or infrastructure failure, 130 interrupted.
"""

from __future__ import annotations

import click

from verify.commandline import LazyGroup, run
from verify.distribution import version_option

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


@click.group(
    cls=LazyGroup, name="verify", table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@version_option()
def cli() -> None:
    """Verdicts that cannot be forged, on Python and Bend programs, in a sandbox."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    run(cli, argv)


if __name__ == "__main__":
    main()
