"""`model train`: train heads as a configuration says, with live progress; resume where a run stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from model.train.config import TrainConfig


@click.command()
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--run",
    "-o",
    "run",
    type=click.Path(file_okay=False, path_type=Path),
    help="Run folder (default: runs/CONFIG).",
)
@click.option(
    "--resume/--fresh", default=True, help="Go on from the run's last checkpoint, if it has one (default)."
)
@click.option("--dry-run", is_flag=True, help="Say what would run and what is missing; train nothing.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print log records as JSON lines instead of a progress bar."
)
def train(config: Path, run: Path | None, resume: bool, dry_run: bool, as_json: bool) -> None:
    """Train the heads that CONFIG describes. The result is in RUN/heads, its curve in RUN/log.jsonl.

    \b
    Exit codes: 0 done (or --dry-run), 2 usage, 4 configuration, data, weights or
    numbers, 5 the verifier cannot judge here, 130 interrupted.
    """
    from model.train.config import TrainConfig
    from model.train.reading import ConfigError

    settings = TrainConfig.read(config)
    if dry_run:
        _describe(settings, as_json)
        return
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


def _describe(settings: TrainConfig, as_json: bool) -> None:
    """The report of a dry run."""
    from model.train.dryrun import survey

    report = survey(settings)
    if as_json:
        click.echo(json.dumps(report.as_dict()))
        return
    where = f"{report.weight_bytes / 1e9:.1f} GB" if report.weight_bytes else "size unknown"
    click.echo(f"base       {report.base}, {where}, on {report.device}")
    for name, count in report.parameters.items():
        click.echo(f"trains     {name}: {count:,} parameters")
    if report.parameters:
        total = (report.weight_bytes + report.trained_bytes) / 1e9
        click.echo(f"memory     {total:.1f} GB: weights, trained parts, their gradients and Adam's moments;")
        click.echo("           activations come on top")
    for name, amount, objectives in report.stages:
        length = f"{amount:.0%} of the time" if settings.training.seconds else f"{amount:,.0f} steps"
        click.echo(f"{name}    {length}: {', '.join(objectives)}")
    if report.samples:
        epochs = f", {report.epochs:.1f} epochs" if report.epochs else ""
        click.echo(f"data       {report.samples:,} samples in {report.rows:,} rows{epochs}")
    if report.verifier:
        rounds = f", {report.rounds:,} rounds of rollouts" if report.rounds else ""
        click.echo(f"on-policy  verifier {report.verifier}, {report.tasks:,} tasks{rounds}")
    for line in report.missing:
        click.echo(f"missing    {line}")
    if not report.missing:
        click.echo("nothing is missing: it would run")


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
