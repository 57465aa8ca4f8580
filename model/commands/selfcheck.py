"""`model selfcheck`: the design's invariants on real weights, on the device that is here."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from model.selfcheck import Check

_WORD = {True: "PASS", False: "FAIL", None: "SKIP"}


@click.command()
@click.option("--model", "name", default="default", show_default=True, metavar="NAME")
@click.option("--heads", metavar="FOLDER", help="Trained heads; `none` for the bare base.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
@click.option("--prompts", type=click.IntRange(1, 20), default=20, show_default=True, help="Chat prompts.")
@click.option(
    "--tokens", type=click.IntRange(min=1), default=120, show_default=True, help="Of an answer, at most."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; the rows go to standard error.")
@click.pass_context
def selfcheck(
    ctx: click.Context, name: str, heads: str | None, device: str, prompts: int, tokens: int, as_json: bool
) -> None:
    """Check that what the decoders promise holds for this model on this device: rows do not depend on the
    width of a pass, passes of all roles agree with float32, `verified`, `lookup` and batches give the tokens
    of `ar`, seeds repeat, a cache may be built in pieces.

    A row each, printed as soon as it is done: PASS, FAIL, or SKIP where it does not apply. Exit code 1 when
    one fails.
    """
    from model.bench_rows.decode import PROMPTS
    from model.engine import Engine
    from model.load import heads_folder, load
    from model.machine import describe
    from model.selfcheck import Subject, run

    engine = load(name, device=device, heads=heads)
    if not isinstance(engine, Engine):
        raise click.UsageError(f"{name} is not decoded here: selfcheck needs a base of its own")
    info, machine = engine.info, describe()
    told = "with heads" if info.heads_sha256 else "no heads"
    click.echo(
        f"{info.name}, {info.precision} on {info.device}, {told}, torch {machine['torch']}", err=as_json
    )
    checks: list[Check] = []
    folder = heads_folder(engine.folder, heads)
    for check in run(Subject(engine, folder, PROMPTS[:prompts], tokens)):
        checks.append(check)
        row = f"{_WORD[check.passed]}  {check.name:<24} {check.seconds:7.1f} s  {check.detail}"
        click.echo(row, err=as_json)
    failed = sum(check.passed is False for check in checks)
    if as_json:
        rows = [dataclasses.asdict(check) for check in checks]
        click.echo(
            json.dumps(
                {"machine": machine, "model": dataclasses.asdict(info), "failed": failed, "rows": rows}
            )
        )
    else:
        click.echo(f"{failed} of {len(checks)} failed" if failed else "none failed")
    if failed:
        ctx.exit(1)
