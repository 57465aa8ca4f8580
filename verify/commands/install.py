"""`verify install bend` and `verify install python-image`."""

from __future__ import annotations

import json
import sys

import click


@click.command()
@click.argument("what", type=click.Choice(["bend", "python-image"]))
@click.option("--gpu", is_flag=True, help="Keep nvcc on PATH so that HVM is built with its CUDA runtime.")
@click.option("--force", is_flag=True, help="Build again even when it is there and works.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def install(what: str, *, gpu: bool, force: bool, as_json: bool) -> None:
    """Build what a backend needs: Bend 1 with HVM2 and the worker, or the Docker image for Python."""
    if what == "python-image":
        from verify import docker_image

        docker_image.build()
        return
    from verify.bend.install import InstallError, install_bend

    try:
        report = install_bend(gpu=gpu, force=force, progress=not as_json)
    except InstallError as error:
        click.echo(f"verify install: {error}", err=True)
        sys.exit(5)
    if as_json:
        click.echo(json.dumps(report))
    else:
        click.echo(f"bend, hvm and the worker are in {report['folder']} ({report['version']})")
