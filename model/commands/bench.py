"""`model bench`: measure this machine, each figure beside its peer."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from model.bench import Row


@click.command()
@click.option("--model", "name", default="default", show_default=True, metavar="NAME")
@click.option("--heads", metavar="FOLDER", help="Trained heads; `none` for the bare base.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
@click.option(
    "--only", metavar="GROUPS", help="Comma-separated groups; --list names them, those on request too."
)
@click.option("--list", "list_groups", is_flag=True, help="Name the groups and stop.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--max-tokens", type=click.IntRange(min=1), help="Generated per run. Default: 32, on a GPU 64.")
@click.option("--quick", is_flag=True, help="The smallest run that still says something.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="PNG of the group `width`: ms against width, and the floor.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object, the machine and the rows; the table goes to standard error.",
)
@click.pass_context
def bench(
    ctx: click.Context,
    name: str,
    heads: str | None,
    device: str,
    only: str | None,
    list_groups: bool,
    repeats: int,
    max_tokens: int | None,
    quick: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Rows of name, value, unit, beside (the peer's value), ratio and spread (interquartile range over
    median), each printed as soon as it is measured.

    A row that cannot be measured says why, the others still run, and the exit code is 1.
    """
    from model import bench as benching
    from model import store
    from model.load import default_name
    from model.machine import describe

    known = benching.groups()
    usual = benching.by_default()
    if list_groups:
        lines = [
            (group, title + ("" if group in usual else " (on request)")) for group, title in known.items()
        ]
        formatter = click.HelpFormatter(width=80)
        formatter.write_dl(lines)
        click.echo(formatter.getvalue(), nl=False)
        return
    chosen = usual if only is None else [group.strip() for group in only.split(",")]
    for group in chosen:
        if group not in known:
            raise click.UsageError(f"no group {group!r}; there are {', '.join(known)}")
    if plot is not None and "width" not in chosen:
        raise click.UsageError("--plot draws the group width, which --only leaves out")
    store.resolve(default_name(device) if name == "default" else name)  # not pulled: say so once, at once
    machine = describe()
    on_gpu = machine["gpu"] is not None and device != "cpu"
    tokens = max_tokens or (64 if on_gpu else 32)
    options = benching.BenchOptions(name, device, repeats, tokens, quick, plot, heads)
    click.echo(
        ", ".join(str(machine[key] or "no GPU") for key in ("cpu", "gpu", "torch", "date")), err=as_json
    )
    click.echo(_cells("name", "value", "unit", "beside", "ratio", "spread", "peer / note"), err=as_json)
    rows: list[dict[str, Any]] = []
    for group in chosen:
        click.echo(f"[{group}] {known[group]}", err=as_json)
        begin, before = time.perf_counter(), len(rows)
        for row in benching.run(group, options):
            rows.append({"group": group, **row.to_dict()})
            click.echo(_line(row), err=as_json)
        nothing = "" if len(rows) > before else "nothing to measure here, "
        click.echo(f"[{group}] {nothing}{time.perf_counter() - begin:.1f} s", err=as_json)
    if as_json:
        click.echo(json.dumps({"machine": machine, "model": name, "repeats": repeats, "rows": rows}))
    if any(row["error"] for row in rows):
        ctx.exit(1)


def _line(row: Row) -> str:
    if row.value is None:
        return f"  {row.name}: {row.error}"
    numbers = ["" if number is None else f"{number:.4g}" for number in (row.value, row.beside, row.ratio)]
    spread = "" if row.spread is None else f"{100 * row.spread:.0f} %"
    remark = "; ".join(part for part in (row.peer, row.note) if part)
    return _cells(row.name, numbers[0], row.unit, numbers[1], numbers[2], spread, remark)


def _cells(name: str, value: str, unit: str, beside: str, ratio: str, spread: str, remark: str) -> str:
    return f"  {name:<38} {value:>9} {unit:<9} {beside:>9} {ratio:>7} {spread:>6}  {remark}".rstrip()
