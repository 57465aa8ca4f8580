"""`evals show RUN`: a run's figures, made again from its files."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--failed", is_flag=True, help="Also list each sample that did not pass, with the reason.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on stdout.")
def show(run: Path, failed: bool, as_json: bool) -> None:
    """Print the figures of the run folder RUN, derived from its files."""
    from evals.commands.run import json_line
    from evals.rundir import RunFolder
    from evals.summary import summarise

    folder = RunFolder.existing(run)
    summary = {"wall_s": None, **(folder.summary or {}), **summarise(folder)}
    if as_json:
        click.echo(json.dumps(json_line(summary, run)))
        return
    from evals.report.table import print_failures, print_summary

    print_summary(summary, run)
    if failed:
        print_failures(folder)
