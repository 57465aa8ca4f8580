"""`python -m tui [--model NAME] [--decode MODE] [--workdir FOLDER]`: the app on its own."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from model.request import Decode
from tui.app import run
from tui.session import DECODES


@click.command()
@click.option("--model", default="default", show_default=True, help="As for `agent run`.")
@click.option("--decode", type=click.Choice(DECODES), default="auto", show_default=True, help="Decode mode.")
@click.option("--workdir", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path())
def main(model: str, decode: Decode, workdir: Path) -> None:
    """Open the Textual app on WORKDIR."""
    sys.exit(run(model=model, decode=decode, workdir=workdir))


if __name__ == "__main__":
    main()
