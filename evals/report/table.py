"""Tables for a terminal. Text from models is stripped of control sequences and never read as markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evals.rundir import RunFolder
from evals.sample import scored_from_row

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def safe(text: str, width: int = 200) -> Text:
    """Untrusted text as one plain line."""
    line = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\n", " ").replace("\t", " "))
    return Text(line if len(line) <= width else line[: width - 3] + "...")


def percent(value: float, interval: list[float] | None = None) -> str:
    text = f"{100 * value:.1f} %"
    return f"{text}  [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_summary(summary: dict[str, Any], out: Path, console: Console | None = None) -> None:
    """Scores, cost, trouble, and where the run lies."""
    console = console or Console()
    samples, tasks = _count(summary["n_samples"], "sample"), _count(summary["n_tasks"], "task")
    table = Table(
        title=f"{summary['dataset']}: {samples} of {tasks}",
        title_justify="left",
        show_header=False,
    )
    table.add_column(style="bold")
    table.add_column()
    for group, scores in summary["pass_at_k"].items():
        for k, score in scores.items():
            label = (
                k if len(summary["pass_at_k"]) == 1 else f"{k} {'base' if group == 'base' else 'base + plus'}"
            )
            table.add_row(label, percent(score["value"], score["ci95"]) + "  (95 % interval)")
    for label, row in summary["categories"].items():
        table.add_row(
            f"  {label}", f"{row['passed']}/{row['samples']}  {percent(row['passed'] / row['samples'])}"
        )
    for turns, share in summary["within_turns"].items():
        table.add_row(f"within {turns} answer{'s' if turns != '1' else ''}", percent(share))
    if summary["tokens"]:
        table.add_row(
            "tokens / forwards",
            f"{summary['tokens']:,} / {summary['forwards']:,} = {summary['tpf']:.2f} a forward",
        )
    speed = summary["speed"]
    if speed["generate_s"]:
        low, high = speed["tok_s_p5_p95"]
        table.add_row(
            "tokens/s",
            f"{summary['tok_s']:.1f} overall, median {speed['tok_s_median']:.1f} [{low:.1f}, {high:.1f}]",
        )
        table.add_row("first token", f"median {speed['ttft_s_median']:.2f} s")
        memory = f"{speed['peak_rss_mb']:,.0f} MB" + (
            f", GPU {speed['peak_gpu_mb']:,.0f} MB" if speed["peak_gpu_mb"] else ""
        )
        table.add_row("peak memory", memory)
    failures = {status: n for status, n in summary["statuses"].items() if status != "passed"}
    if failures:
        table.add_row("not passed", ", ".join(f"{status} {n}" for status, n in failures.items()))
    if summary["finish"].get("length"):
        table.add_row("cut by the token limit", str(summary["finish"]["length"]))
    if summary["infra"]:
        table.add_row(
            "infrastructure failures", f"{len(summary['infra'])}, not counted: {_keys(summary['infra'])}"
        )
    if summary["flaky"]:
        table.add_row("flaky", _keys(summary["flaky"]))
    if summary["pending"]:
        table.add_row("not judged yet", f"{summary['pending']}; `evals score {out}` judges them")
    if summary.get("wall_s") is not None:
        table.add_row("wall time", f"{summary['wall_s']:.1f} s")
    console.print(table)
    console.print(Text(f"run folder: {out}"), soft_wrap=True)
    console.print(Text(f"look at it: evals view {out}"), soft_wrap=True)


def print_failures(folder: RunFolder, console: Console | None = None) -> None:
    """One line for each sample that did not pass: task, status, first reason."""
    console = console or Console()
    if not any(not scored_from_row(row).ok for row in folder.verdicts().values()):
        console.print("every judged sample passed")
        return
    table = Table(title="not passed", title_justify="left")
    for column in ("task", "sample", "base", "plus", "why"):
        table.add_column(column)
    for row in folder.verdicts().values():
        scored = scored_from_row(row)
        if scored.ok:
            continue
        plus = str(scored.plus.status) if scored.plus else "-"
        bad = scored.base if not scored.base.ok or scored.plus is None else scored.plus
        table.add_row(
            safe(row["task_id"]), str(row["sample"]), str(scored.base.status), plus, safe(bad.detail, 120)
        )
    console.print(table)


def _keys(keys: list[list[Any]]) -> str:
    shown = ", ".join(f"{task}#{sample}" for task, sample in keys[:5])
    return shown + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")


def print_differences(result: dict[str, Any], console: Console | None = None) -> None:
    """The outcome of `check-evalplus`."""
    console = console or Console()
    if result["differences"]:
        table = Table(title="where stock evalplus and ours differ", title_justify="left")
        for column in ("task", "sample", "tests", "ours", "evalplus", "reason"):
            table.add_column(column)
        for row in result["differences"]:
            cells = (row["task_id"], str(row["sample"]), row["group"], row["ours"], row["evalplus"])
            table.add_row(*(safe(cell) for cell in cells), safe(row["reason"], 160))
        console.print(table)
    console.print(
        f"{result['benchmark']}: {result['samples']} samples, "
        f"ours {result['ours_pass']} pass in {result['ours_s']:.1f} s, "
        f"evalplus {result['evalplus_pass']} pass in {result['evalplus_s']:.1f} s; "
        f"{result['differ']} differences, {result['unexplained']} not listed bugs"
    )
