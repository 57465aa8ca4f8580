"""`evals curve`: accuracy against parallelism, of any runs; and the curve that a sweep prints at its end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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

    A line for each way of diffusion (block size, rule, ...) over its thresholds, with its area (AUP),
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
        click.echo(json.dumps(_row(one)) if as_json else _series_text(one))
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


def report_curves(root: Path, places: Sequence[Path], as_json: bool) -> None:
    """Print the series of a sweep's runs as `evals curve` does, and write all of them to `curve.json` in
    `root`.
    """
    from evals.rundir import RunFolder
    from evals.series import judged, series

    runs = [run for run in (judged(RunFolder(place)) for place in places) if run is not None]
    rows = []
    for benchmark in dict.fromkeys(run.benchmark for run in runs):
        if not as_json:
            click.echo(f"{benchmark}: accuracy against parallelism")
        for one in series([run for run in runs if run.benchmark == benchmark]):
            row = {"benchmark": benchmark, **_row(one)}
            click.echo(json.dumps({"curve": row}) if as_json else _series_text(one))
            rows.append(row)
    write_whole(root / "curve.json", json.dumps(rows, indent=1) + "\n")


def _row(one: Series) -> dict[str, Any]:
    points = [
        {"rho": r.rho, "accuracy": round(r.accuracy, 2), "threshold": r.settings["threshold"],
         "ci95": [round(r.low, 2), round(r.high, 2)], "run_dir": str(r.place)}
        for r in one.runs
    ]  # fmt: skip
    area = None if one.area is None else round(one.area, 3)
    return {"series": one.label, "aup": area, "points": points}
