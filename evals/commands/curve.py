"""`evals curve`: accuracy against parallelism, of any runs; and the curve that a sweep prints at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evals.curve import Point, aup
from evals.settings import Settings
from model.wholefile import write_whole

if TYPE_CHECKING:
    from evals.series import Series


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="PNG; default: curve.png in the first RUN."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a series; draws only with --output.")
def curve(paths: tuple[Path, ...], output: Path | None, as_json: bool) -> None:
    """Draw pass@1 against tokens per forward of the runs at or below RUN...

    A line for each way of free diffusion (block size, rule, ...) over its thresholds, with its area (AUP),
    and a point for each run of ar, verified and lookup.

    \b
    evals run humaneval --decode diffusion --sweep threshold=0.5,0.7,0.9 --out D
    evals curve D AR VERIFIED LOOKUP -o curve.png
    """
    from evals.errors import RunFolderError, UsageError
    from evals.report.curve_plot import draw
    from evals.series import find_runs, judged, series

    runs = []
    for folder in find_runs(paths):
        run = judged(folder)
        if run is None:
            click.echo(
                f"warning: {folder.path} has no verdict yet (`evals score` it) or no forward; left out",
                err=True,
            )
        else:
            runs.append(run)
    if not runs:
        raise UsageError("none of these runs has verdicts (`evals score RUN`) and forwards of a model")
    tasks = sorted({run.tasks for run in runs})
    if len(tasks) > 1:
        counts = ", ".join(map(str, tasks))
        click.echo(f"warning: the runs cover {counts} tasks: compare their pass@1 with care", err=True)
    found = series(runs)
    for one in found:
        points = [
            {"rho": r.rho, "accuracy": round(r.accuracy, 2), "threshold": r.settings["threshold"],
             "ci95": [round(r.low, 2), round(r.high, 2)], "run_dir": str(r.place)}
            for r in one.runs
        ]  # fmt: skip
        row = {"series": one.label, "aup": one.area and round(one.area, 3), "points": points}
        click.echo(json.dumps(row) if as_json else _series_text(one))
    if as_json and output is None:
        return
    target = output or paths[0] / "curve.png"
    try:
        draw(found, f"{runs[0].benchmark}, {tasks[-1]} tasks", target)
    except OSError as error:
        raise RunFolderError(f"{target}: cannot be written: {error.strerror or error}") from None
    if not as_json:
        click.echo(f"curve: {target}")


def _series_text(one: Series) -> str:
    lines = [one.label + (f": AUP {one.area:.1f}" if one.area is not None else "")]
    for run in one.runs:
        mark = f"  threshold {run.mark}" if one.line else ""
        lines.append(f"  {run.rho:6.2f} tokens/forward  {run.accuracy:5.1f} %{mark}")
    return "\n".join(lines)


def report_curves(root: Path, results: list[tuple[Settings, dict[str, Any]]], as_json: bool) -> None:
    """Print each benchmark's curve with its area, one for each block size and rule of `diffusion`, and write
    all of them to `curve.json` in `root`.
    """
    curves = []
    for key in dict.fromkeys(_curve_of(settings) for settings, _ in results):
        rows = [(settings, summary) for settings, summary in results if _curve_of(settings) == key]
        name = key[0]
        points = [
            Point(summary["tpf"], 100 * summary["pass_at_1"], _label(settings, rows[0][0]))
            for settings, summary in rows
            if summary["forwards"]
        ]
        curves.append(
            {
                "benchmark": name,
                "points": [point._asdict() for point in sorted(points)],
                "aup": round(aup(points), 3) if points else None,
            }
        )
    write_whole(root / "curve.json", json.dumps(curves, indent=1) + "\n")
    for curve in curves:
        click.echo(json.dumps({"curve": curve}) if as_json else _text(curve))


def _curve_of(settings: Settings) -> tuple[str, str, int | None, str]:
    """A threshold trades accuracy for parallelism along a curve; another block or rule is another curve."""
    if settings.decode != "diffusion":
        return settings.benchmark, "", None, ""
    return settings.benchmark, settings.decode, settings.block, settings.rule


def _label(settings: Settings, first: Settings) -> str:
    """What differs from the sweep's first setting; its own values where nothing does."""
    ours, theirs = settings.to_dict(), first.to_dict()
    return ", ".join(f"{k}={v}" for k, v in ours.items() if v != theirs[k]) or "first setting"


def _text(curve: dict[str, Any]) -> str:
    lines = [f"{curve['benchmark']}: accuracy against parallelism"]
    lines += [
        f"  {p['rho']:6.2f} tokens/forward  {p['accuracy']:5.1f} %  {p['label']}" for p in curve["points"]
    ]
    if curve["aup"] is not None:
        lines.append(f"  AUP {curve['aup']:.1f} (own best accuracy as reference)")
    return "\n".join(lines)
