"""`model bench`: measure this machine, each figure beside its peer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from model.bench import Row


@click.command()
@click.option("--model", "name", default="default", show_default=True, metavar="NAME")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
@click.option("--only", metavar="GROUPS", help="Comma-separated groups; --list names them.")
@click.option("--list", "list_groups", is_flag=True, help="Name the groups and stop.")
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=64, show_default=True, help="Generated per run."
)
@click.option("--quick", is_flag=True, help="The smallest run that still says something.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the machine and the rows.")
def bench(
    name: str,
    device: str,
    only: str | None,
    list_groups: bool,
    repeats: int,
    max_tokens: int,
    quick: bool,
    as_json: bool,
) -> None:
    """Rows of name, value, unit, beside (the peer's value), ratio and spread (interquartile range over
    median).
    """
    from model import bench as benching
    from model.machine import describe

    known = benching.groups()
    if list_groups:
        for group, title in known.items():
            click.echo(f"{group:<12} {title}")
        return
    chosen = list(known) if only is None else [group.strip() for group in only.split(",")]
    for group in chosen:
        if group not in known:
            raise click.UsageError(f"no group {group!r}; there are {', '.join(known)}")
    from rich.console import Console

    options = benching.BenchOptions(name, device, repeats, max_tokens, quick)
    rows: list[Row] = []
    with Console(stderr=True).status("measuring") as status:
        for group in chosen:
            status.update(f"measuring {group}")
            for row in benching.run(group, options):
                rows.append(row)
                status.update(f"measuring {group}: {row.name} done")
    machine = describe()
    if as_json:
        result = {
            "machine": machine,
            "model": name,
            "repeats": repeats,
            "rows": [row.to_dict() for row in rows],
        }
        click.echo(json.dumps(result))
        return
    click.echo(", ".join(str(machine[key] or "no GPU") for key in ("cpu", "gpu", "torch", "date")))
    _print(rows)


def _print(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in ("name", "value", "unit", "beside", "ratio", "spread", "peer / note"):
        table.add_column(
            column, justify="right" if column in ("value", "beside", "ratio", "spread") else "left"
        )
    for row in rows:
        remark = "; ".join(part for part in (row.peer, row.note) if part)
        numbers = [f"{row.value:.4g}"]
        numbers += ["" if number is None else f"{number:.4g}" for number in (row.beside, row.ratio)]
        spread = "" if row.spread is None else f"{100 * row.spread:.0f} %"
        table.add_row(Text(row.name), numbers[0], row.unit, numbers[1], numbers[2], spread, Text(remark))
    Console().print(table)
