"""`evals cache`: the expected outputs kept on disk."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--clear", is_flag=True, help="Delete them; the next run computes what it needs again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a folder on stdout.")
def cache(clear: bool, as_json: bool) -> None:
    """How large the expected outputs are that judging keeps, ours and those of stock evalplus, and where."""
    import shutil

    from evals.errors import InfrastructureError
    from evals.home import evals_home

    for name in ("expected", "evalplus-cache"):
        folder = evals_home() / name
        files = [path for path in folder.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        if clear and folder.is_dir():
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise InfrastructureError(f"{folder}: cannot be cleared: {error.strerror}") from None
        row = {"folder": str(folder), "files": len(files), "mb": round(size / 1e6, 1), "cleared": clear}
        done = "cleared: " if clear else ""
        click.echo(json.dumps(row) if as_json else f"{done}{row['files']} files, {row['mb']} MB  {folder}")
    if not clear and not as_json:
        click.echo("`evals cache --clear` deletes them; they are computed again when needed.")
