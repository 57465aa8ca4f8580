"""The `model` command. Each sub-command is a module of its own, imported only when it runs.

Exit codes: 0 done, 1 a check failed, 2 usage, 4 model or format failure,
5 sandbox or infrastructure, 130 interrupted.
"""

from __future__ import annotations

import click

from model.commandline import LazyGroup, run
from model.distribution import version_option
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


@click.group(
    cls=LazyGroup, name="model", table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@version_option()
def cli() -> None:
    """Weights, generation and training of the Trihead models."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    run(cli, argv, known=(ModelError,), system=4)


if __name__ == "__main__":
    main()
