"""`model ablate`: the arms of a plan trained for one budget and measured alike, in one table."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("plan", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the arms and of table.md and table.json.",
)
@click.option("--only", default="", metavar="ARM,...", help="Run these arms only; the table has all.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(("auto", "cpu", "cuda")),
    help="Of every arm (auto: as the configurations say).",
)
@click.option("--jobs", default=0, type=click.IntRange(0), help="Arms at once (0: one a GPU).")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.pass_context
def ablate(
    ctx: click.Context, plan: Path, out: Path, only: str, device: str, jobs: int, as_json: bool
) -> None:
    """Train every arm of PLAN for the same budget, measure each with `model acceptance` and `model restore`,
    and write one table; the first arm is the baseline.

    Called again it goes on: finished arms stay, a killed one resumes. An arm that fails is named in its row,
    the others go on, and the exit code is 4.
    """
    from model.ablation.arm import ArmRun
    from model.ablation.plan import Plan
    from model.ablation.pool import gpus, run_all
    from model.ablation.table import markdown, row, with_ratios

    read = Plan.read(plan, device=device)
    chosen = read.chosen([name.strip() for name in only.split(",") if name.strip()])
    read.require_files()
    places = gpus(device)
    runs = [
        ArmRun(arm, out / arm.name, read.evaluation, lambda arm, step: click.echo(f"{arm}: {step}", err=True))
        for arm in chosen
    ]
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        errors = run_all(
            runs, places, jobs, lambda arm, error: click.echo(f"{arm}: {error or 'done'}", err=True)
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    rows = [row(arm.name, out / arm.name, errors.get(arm.name, "")) for arm in read.arms]
    out.mkdir(parents=True, exist_ok=True)
    table: dict[str, Any] = {"plan": plan.name, "budget": read.budget, "arms": with_ratios(rows)}
    text = markdown(rows, f"{plan.stem}, {read.budget} an arm")
    (out / "table.json").write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    (out / "table.md").write_text(text, "utf-8")
    click.echo(json.dumps(table) if as_json else text, nl=as_json)
    if errors:
        ctx.exit(4)


def _interrupt(number: int, frame: object) -> None:
    """A polite kill ends the arms' processes too, as Ctrl-C does."""
    raise KeyboardInterrupt
