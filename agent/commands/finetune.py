"""`agent finetune`: learn from verified runs, compare, promote only what is better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from agent.cli import DECODES
from verify.commandline import Number


@click.command("finetune", short_help="Make the heads better with verified runs.")
@click.option(
    "--trajectories",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of trajectories to learn from, such as the data folder's sessions (repeatable).",
)
@click.option(
    "--tasks",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Tasks of 'agent tasks build': to roll out on, and held-out ones to compare heads with.",
)
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True)
@click.option("--dry-run", is_flag=True, help="Roll out, select and report; train nothing.")
@click.option("--model", default="default", show_default=True, help="The base: a model name or a folder.")
@click.option(
    "--sampled", type=click.IntRange(0), default=4, show_default=True, help="Sampled attempts a task."
)
@click.option(
    "--batch",
    type=click.IntRange(0),
    default=0,
    help="Attempts answered together at most (0: what suits the device).",
)
@click.option("--temperature", type=Number(0, min_open=True), default=0.7, show_default=True)
@click.option("--limit", type=click.IntRange(0), default=0, help="Training tasks at most (0: all).")
@click.option("--held-out-limit", type=click.IntRange(0), default=0, help="Held-out tasks at most (0: all).")
@click.option("--per-task", type=click.IntRange(1), default=2, show_default=True, help="Kept answers a task.")
@click.option("--epochs", type=Number(0, min_open=True), default=3.0, show_default=True)
@click.option("--seconds", type=Number(0), default=0.0, help="Training time at most (0: no limit).")
@click.option("--learning-rate", type=Number(0, min_open=True), default=1e-4, show_default=True)
@click.option("--replay", type=Number(0), default=0.25, show_default=True, help="Earlier rows a new one.")
@click.option(
    "--ar-rank", type=click.IntRange(1), default=64, show_default=True, help="LoRA rank of a new AR head."
)
@click.option("--decode", type=click.Choice(DECODES), default="auto", show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--backend", default="auto", show_default=True, help="Sandbox.")
@click.option("--unsafe", is_flag=True, help="Allow the subprocess backend, which is no sandbox.")
@click.option("--json", "as_json", is_flag=True, help="Progress and reports as JSON lines.")
def finetune_command(rounds: int, as_json: bool, **flags: Any) -> int:
    """Learn from trajectories and from attempts at --tasks, and promote the new heads if they are better.

    Each round: attempts with the heads in use, selection (verified again, few steps, no
    benchmark), a short training, held-out tasks with old and new heads. The new heads are
    used from then on only if pass@1 did not fall and pass@1 or steps improved by more than
    chance; else the old ones stay, and the report says why. An interrupted round goes on
    where it stopped.

    Exit codes: 0 promoted (or --dry-run), 1 the old heads stay, 2 usage or nothing to learn
    from, 4 model or training failure, 5 sandbox failure, 130 interrupted.
    """
    from rich.console import Console

    from agent.finetune.report import show
    from agent.finetune.rounds import Finetune, Settings
    from agent.finetune.training import Recipe

    recipe = Recipe(
        **{key: flags.pop(key) for key in ("epochs", "seconds", "learning_rate", "replay", "ar_rank")}
    )
    settings = Settings(recipe=recipe, **flags)
    code = 0
    with _Progress(as_json) as progress:
        loop = Finetune(settings, progress.say)
        for _ in range(rounds):
            report = loop.round()
            if as_json:
                click.echo(json.dumps({"report": report}))
            else:
                progress.stop()
                show(report, Console(highlight=False))
            code = 0 if report.get("dry_run") or report["promoted"] else 1
            if report.get("dry_run"):
                break
    return code


class _Progress:
    """A bar a stage for people, a line a change for machines."""

    def __init__(self, as_json: bool) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self.as_json = as_json
        self.progress = Progress(console=Console(stderr=True), disable=as_json)
        self.stages: dict[str, Any] = {}

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self.stages:  # a bar that never started would still print its empty line
            self.progress.stop()
        self.stages.clear()

    def say(self, stage: str, done: int, total: int) -> None:
        if self.as_json:
            click.echo(json.dumps({"stage": stage, "done": done, "total": total}))
            return
        if not self.stages:
            self.progress.start()
        if stage not in self.stages:
            self.stages[stage] = self.progress.add_task(stage, total=total)
        self.progress.update(self.stages[stage], completed=done, total=total)
