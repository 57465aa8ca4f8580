"""`model train`: train heads as a configuration says, with live progress; resume where a run stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--run",
    "run",
    type=click.Path(file_okay=False, path_type=Path),
    help="Run folder (default: runs/CONFIG).",
)
@click.option(
    "--resume/--fresh", default=True, help="Go on from the run's last checkpoint, if it has one (default)."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print log records as JSON lines instead of a progress bar."
)
def train(config: Path, run: Path | None, resume: bool, as_json: bool) -> None:
    """Train the heads that CONFIG describes. The result is in RUN/heads, its curve in RUN/log.jsonl."""
    from model.train.config import ConfigError, TrainConfig

    settings = TrainConfig.read(config)
    folder = run or Path("runs") / config.stem
    if not resume and (folder / "log.jsonl").exists():
        raise ConfigError(f"{folder} holds a run already; choose another --run, delete it, or resume it")

    from model.train.processes import first
    from model.train.trainer import Trainer

    with _Display(as_json, shown=first()) as display:
        trainer = Trainer(settings, folder, display.show)
        if trainer.batches.dropped and first():
            click.echo(f"{trainer.batches.dropped} samples without a usable answer left out", err=True)
        if trainer.fresh and first():
            click.echo(
                f"not in {settings.start}, or of another shape, so fresh: {', '.join(trainer.fresh)}",
                err=True,
            )
        if resume and trainer.resume() and first():
            click.echo(f"resumed at step {trainer.step}", err=True)
        trainer.fit()
        trainer.processes.end()
    if first():
        click.echo(f"heads: {folder / 'heads'}", err=as_json)


class _Display:
    """A progress bar for people, JSON lines for machines."""

    def __init__(self, as_json: bool, *, shown: bool = True) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self.as_json = as_json
        columns = (BarColumn(), TextColumn("{task.description}"))
        self.progress = Progress(*columns, disable=as_json or not shown)

    def __enter__(self) -> _Display:
        self.progress.start()
        self.task = self.progress.add_task("loading", total=1000)
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def show(self, record: dict[str, Any]) -> None:
        if self.as_json:
            click.echo(json.dumps(record))
            return
        eta, seconds = record["eta_s"] or 0, record["seconds"]
        text = (
            f"step {record['step']}  loss {record['loss']:.3f}  right {record['right']:.3f}  "
            f"{record['draft_tokens_per_s']:,} draft tokens/s  {record['memory_gib']} GiB  "
            f"{seconds:.0f} s, {eta} s left"
        )
        self.progress.update(self.task, description=text, completed=1000 * seconds / max(seconds + eta, 1e-9))
