"""`evals compare A B`: paired, task by task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON line on stdout.")
def compare(a: Path, b: Path, as_json: bool) -> None:
    """Compare run folder B with run folder A on the tasks both judged: flips, p-values, speed."""
    from evals.compare import compare_runs
    from evals.rundir import RunFolder

    result = compare_runs(RunFolder.existing(a), RunFolder.existing(b))
    if as_json:
        click.echo(json.dumps(result))
        return
    _print(result, a, b)


def _print(result: dict[str, Any], a: Path, b: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(
        title=f"{result['benchmark']}: {result['n_tasks']} tasks in both runs", title_justify="left"
    )
    for column in ("", "A", "B", "B against A"):
        table.add_column(column, style="bold" if not column else None)
    low, high = result["ci95"]
    change = f"{100 * result['difference']:+.1f} points  [{100 * low:+.1f}, {100 * high:+.1f}]"
    table.add_row(
        "pass@1", f"{100 * result['a']['pass']:.1f} %", f"{100 * result['b']['pass']:.1f} %", change
    )
    for key, label in (("tpf", "tokens/forward"), ("tok_s", "tokens/s")):
        ratio = result["tpf_ratio" if key == "tpf" else "speed_ratio"]
        table.add_row(
            label, f"{result['a'][key]:.2f}", f"{result['b'][key]:.2f}", f"x {ratio:.2f}" if ratio else "-"
        )
    console.print(table)
    if not result["same_data"]:
        console.print("warning: the runs used different data or tests")
    if result["left_out"]:
        console.print(f"left out, judged in one run only: {len(result['left_out'])}")
    for label, tasks in (
        ("won (A failed, B passed)", result["won"]),
        ("lost (A passed, B failed)", result["lost"]),
    ):
        console.print(
            Text(f"{label}: {len(tasks)}  {', '.join(tasks[:12])}{' ...' if len(tasks) > 12 else ''}")
        )
    if result["p_mcnemar"] is not None:
        console.print(
            f"McNemar exact p = {result['p_mcnemar']:.3g}; paired bootstrap p = {result['p_bootstrap']:.3g}"
        )
    else:
        console.print(f"paired bootstrap over tasks: p = {result['p_bootstrap']:.3g}")
    for key, (before, after) in result["settings"].items():
        console.print(Text(f"setting {key}: {_short(before)} in A, {_short(after)} in B"))
    console.print(Text(f"A: {a}\nB: {b}"), soft_wrap=True)


def _short(value: object) -> str:
    """A list of tasks can be long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
