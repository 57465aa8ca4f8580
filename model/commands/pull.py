"""`model pull`: fetch a named model, or adopt local weights."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click


@click.command()
@click.argument("name", required=False)
@click.option(
    "--from",
    "local",
    metavar="FILE_OR_FOLDER",
    type=click.Path(exists=True, path_type=Path),
    help="Adopt a local .gguf file or model folder instead of fetching.",
)
@click.option(
    "--download",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Only fetch the published .gguf to FILE, for a machine without a network: there, --from FILE.",
)
@click.option("--source", type=click.Choice(["auto", "hub", "mirror"]), default="auto", show_default=True)
@click.option(
    "--force", is_flag=True, help="Fetch again what is here; the old one stays until the new one is ready."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pull(
    name: str | None, local: Path | None, download: Path | None, source: str, force: bool, as_json: bool
) -> None:
    """Fetch the model NAME: first from the hub, then from the pinned mirror; the sha256 decides.

    Without NAME: the default model. An interrupted pull goes on where it stopped. With --from, NAME is what
    the weights will be called (default: what their sha256 says they are, else their file name).
    """
    from model import names
    from model import pull as pulling
    from model.adopt import adopt
    from model.commands.progress import StageBars

    if download is not None:
        if local is not None or force:
            raise click.UsageError("--download goes with neither --from nor --force")
        with StageBars(quiet=as_json) as bars:
            sha256 = pulling.download(
                names.DEFAULT if name is None else name,
                download,
                source=source,  # type: ignore[arg-type]  # click gives one of the choices as a plain str
                report=bars.report,
                note=bars.note,
            )
        click.echo(
            json.dumps({"file": str(download), "sha256": sha256}) if as_json else f"{download}: {sha256}"
        )
        return
    started = time.perf_counter()
    with StageBars(quiet=as_json) as bars:
        if local is not None:
            pulled = adopt(local, name, report=bars.report)
        else:
            pulled = pulling.pull(
                names.DEFAULT if name is None else name,
                source=source,  # type: ignore[arg-type]  # click gives one of the choices as a plain str
                force=force,
                report=bars.report,
                note=bars.note,
            )
    wall_s = time.perf_counter() - started
    if as_json:
        result = {
            "name": pulled.name,
            "folder": str(pulled.folder),
            "source": pulled.source,
            "sha256": pulled.sha256,
            "wall_s": round(wall_s, 3),
        }
        click.echo(json.dumps(result))
    elif pulled.source == "present":
        click.echo(f"{pulled.name} is already in {pulled.folder}")
    else:
        click.echo(f"{pulled.name} is in {pulled.folder} ({pulled.source}, {wall_s:.0f} s)")
