"""The report of a round: its one line for `agent heads list`, and its table for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agent.finetune import evaluation

if TYPE_CHECKING:
    from rich.console import Console


def summary(number: int, comparison: evaluation.Comparison, promoted: bool) -> str:
    """One line: what changed on held-out tasks."""
    old, new = comparison.old, comparison.new
    steps = f"steps {100 * comparison.steps.value:+.1f} %, " if comparison.both else ""
    return (
        f"round {number}: pass@1 {old['pass@1'][0]:.3f} -> {new['pass@1'][0]:.3f}, {steps}"
        f"{'promoted' if promoted else 'not promoted'}"
    )


def show(report: dict[str, Any], console: Console) -> None:
    """The report of a round, for people."""
    from rich.table import Table
    from rich.text import Text

    from agent.untrusted import one_line

    selection = report["selection"]
    table = Table(f"round {report['round']}", "trajectories", box=None)
    table.add_row("kept", f"{len(selection['kept'])} (of {selection['kept_tasks']} tasks)")
    for reason, count in sorted(selection["dropped"].items(), key=lambda item: -item[1]):
        table.add_row(Text(reason), str(count))
    table.add_row("refused", str(len(selection["refused"])))
    console.print(table)
    for name, why in list(selection["refused"].items())[:20]:
        console.print(Text(one_line(f"refused {name}: {why}", 110)))
    console.print(f"rows: {report['rows']['new']} new, {report['rows']['replayed']} replayed")
    if report.get("dry_run"):
        console.print("dry run: nothing was trained")
        return
    found = report["evaluation"]
    table = Table(f"{found['tasks']} held-out tasks", "old", "new", box=None)
    for key in ("pass@1", "steps_per_task"):
        table.add_row(key.replace("_", " "), *(_interval(found[side][key]) for side in ("old", "new")))
    for key in ("tokens_per_task", "tokens_per_forward", "tokens_per_s"):
        table.add_row(key.replace("_", " "), *(str(found[side][key]) for side in ("old", "new")))
    console.print(table)
    console.print(
        f"pass@1 {_interval(found['pass_difference'], 100)} points, {len(found['won'])} won, "
        f"{len(found['lost'])} lost (p = {found['p_mcnemar']}); steps on {found['both_solved']} tasks "
        f"that both solve {_interval(found['steps_change'], 100)} %"
    )
    console.print(f"drift: {json.dumps(report['drift'])}")
    what = "promoted" if report["promoted"] else "not promoted, the old heads stay"
    console.print(f"version {report['version']}: {what}: {report['why']}")


def _interval(values: list[float | None], scale: float = 1.0) -> str:
    value, low, high = ("unknown" if v is None else f"{scale * v:.3f}" for v in values)
    return f"{value} [{low}, {high}]"
