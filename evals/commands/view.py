"""`evals view RUN`: one HTML page."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="File to write; default: RUN/report.html."
)
@click.option("--open", "open_", is_flag=True, help="Open it in a browser.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on stdout.")
def view(run: Path, output: Path | None, open_: bool, as_json: bool) -> None:
    """Write the run folder RUN as one self-contained HTML page: figures, plots, each sample's code and
    verdict.

    For a sweep give one of its run folders; the page shows the whole sweep's curve too.
    """
    from evals.errors import RunFolderError
    from evals.report.page import render
    from evals.rundir import PROMPTS, RunFolder
    from model.wholefile import write_whole

    folder = RunFolder.existing(run)
    prompts = {row["task_id"]: row["prompt"] for row in folder.rows(PROMPTS)}
    curves = [path for path in (run / "curve.json", run.parent / "curve.json") if path.is_file()]
    curve = json.loads(curves[0].read_text()) if curves else []
    target = output or run / "report.html"
    try:
        write_whole(target, render(folder, prompts, curve))
    except OSError as error:
        raise RunFolderError(f"{target}: cannot be written: {error.strerror or error}") from None
    click.echo(json.dumps({"report": str(target)}) if as_json else f"report: {target}")
    if open_:
        click.launch(target.resolve().as_uri())
