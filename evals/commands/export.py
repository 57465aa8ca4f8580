"""`evals export RUN --format FORM`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    required=True,
    help="evalplus, evalplus-folder, evalplus-results, human-eval, markdown or csv.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File (evalplus-folder: folder) to write; default: stdout.",
)
def export(run: Path, form: str, output: Path | None) -> None:
    """Write the run folder RUN in a form other tools read."""
    from evals.errors import RunFolderError, UsageError
    from evals.export import FOLDER, export_run, write_folder
    from evals.rundir import RunFolder
    from model.wholefile import write_whole

    if form == FOLDER:
        if output is None:
            raise UsageError(f"--format {FOLDER} writes many files: give --output FOLDER")
        click.echo(f"{write_folder(RunFolder.existing(run), output)} samples in {output}")
        return
    text = export_run(RunFolder.existing(run), form)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        write_whole(output, text)
    except OSError as error:
        raise RunFolderError(f"{output}: cannot be written: {error.strerror or error}") from None
