"""The `model` command. Each sub-command is a module of its own, imported only when it runs.

Exit codes: 0 done, 1 a check failed, 2 usage, 4 model or format failure,
5 sandbox or infrastructure, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from model.errors import ModelError

# name -> (module:command, what `model --help` says of it)
COMMANDS: dict[str, tuple[str, str]] = {
    "ablate": (
        "model.commands.ablate:ablate",
        "The arms of a plan, trained and measured alike, in one table.",
    ),
    "acceptance": ("model.commands.acceptance:acceptance", "How many draft tokens the base accepts."),
    "bench": ("model.commands.bench:bench", "Measure this machine: rows of value, peer and ratio."),
    "data": ("model.commands.data:data", "Training data: build, encode, answer."),
    "generate": ("model.commands.generate:generate", "Generate text from a prompt or a chat."),
    "info": ("model.commands.info:info", "What is here, how large, and what fits on which machine."),
    "plot": ("model.commands.plot:plot", "Curves of training runs."),
    "pull": ("model.commands.pull:pull", "Fetch or adopt weights, sha256 checked."),
    "quantize": ("model.commands.quantize:quantize", "Write an FP8 checkpoint, or report what FP8 costs."),
    "restore": ("model.commands.restore:restore", "How many damaged tokens the edit stage mends."),
    "selfcheck": (
        "model.commands.selfcheck:selfcheck",
        "Do the decoders keep their promises on this device?",
    ),
    "train": ("model.commands.train:train", "Train heads as a configuration says."),
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
    """Weights, generation and training of the Trihead models."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    try:
        code = cli.main(args=argv, prog_name="model", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ModelError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone; what is still buffered must not raise at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(4)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
