"""`model plot`: curves of a training run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument(
    "runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PNG to write (default: RUN/curves.png).",
)
def plot(runs: tuple[Path, ...], out: Path | None) -> None:
    """Draw loss, accuracy, throughput and learning rate of RUNS over steps; several runs share the axes."""
    from model.train.plot import draw

    target = out or runs[0] / "curves.png"
    draw(list(runs), target)
    click.echo(str(target))
