"""The table of an ablation, read from the arms' folders: figures as JSON, and a page for people.

    rows = [row(arm, folder, error) for ...]
    text = markdown(rows, title)

The first row is the baseline; ratios are to it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

Row = dict[str, Any]
SCORES = "scores.json"  # the line of `evals score --json` on an arm's answers, put there where a sandbox is
TAIL = 5  # log records whose mean is called final
LOSSES = ("loss", "token", "right", "refined_right", "next_token", "length")
# key of a row -> heading, and whether the ratio to the baseline stands beside it
COLUMNS = {
    "trained_parameters": ("trained parameters", True),
    "memory_gib": ("peak GiB", True),
    "draft_tokens_per_s": ("draft tokens/s", True),
    "steps": ("steps", False),
    "draft_tokens": ("draft tokens", False),
    "train_s": ("trained s", False),
    "wall_s": ("wall s", False),
    **{name: (name.replace("_", " "), False) for name in LOSSES},
}


def row(name: str, folder: Path, error: str = "") -> Row:
    """Flat figures of an arm: what is there. status: done, failed (error says why) or not run."""
    made: Row = {"arm": name, "status": "done", "error": error, "log": str(folder / "log.txt")}
    if error:
        made["status"] = "failed"
    elif not (folder / "train.json").exists():
        made["status"] = "not run"
    if not (folder / "train.json").exists():
        return made
    made |= _json(folder / "train.json")
    made |= _training(folder / "run")
    for name, found in _json(folder / "acceptance.json").get("acceptance", {}).items():
        made[f"tokens per forward, {name}"] = found["tpf_refined"]["all"]
        made[f"copied, {name}"] = found["tpf_refined"]["copied"]
        made[f"new, {name}"] = found["tpf_refined"]["new"]
    for path in sorted((folder / "answers").glob("*.json")):
        found = _json(path)
        made[f"answers of the base, {path.stem}"] = found["same"]
        made[f"kept before the first other token, {path.stem}"] = found["kept"]
    scores = _json(folder / SCORES)
    for name, found in scores.get("pass_at_k", {}).items():
        made[f"pass@1, {scores['dataset']} {name}"] = round(found["pass@1"]["value"], 4)
    for name, found in _json(folder / "restore.json").get("restore", {}).items():
        if found:
            made[f"restored, {name}"], made[f"whole again, {name}"] = found["restored"], found["exact"]
    return made


def _training(run: Path) -> Row:
    record = _json(run / "heads" / "heads.json").get("training", {})
    log = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    tail = log[-TAIL:]
    return {
        "steps": record.get("steps"),
        "train_s": record.get("seconds"),
        "draft_tokens": record.get("draft_tokens"),
        "trained_parameters": record.get("trained_parameters"),
        "memory_gib": max(one["memory_gib"] for one in log),
        # The first records of a run and of a stage are those of compilation.
        "draft_tokens_per_s": round(median(one["draft_tokens_per_s"] for one in log)),
        **{
            name: round(fmean(one[name] for one in tail), 4)
            for name in LOSSES
            if all(name in one for one in tail)
        },
    }


def with_ratios(rows: Sequence[Row]) -> list[Row]:
    """The rows with `ratios`: every figure over the baseline's."""
    first = rows[0]

    def ratios(one: Row) -> dict[str, float]:
        return {
            key: round(value / first[key], 4)
            for key, value in one.items()
            if isinstance(value, int | float) and isinstance(first.get(key), int | float) and first[key]
        }

    return [{**one, "ratios": ratios(one)} for one in rows]


def markdown(rows: Sequence[Row], title: str) -> str:
    """A heading, the table, and a line for every arm that failed."""
    rated = with_ratios(rows)
    measured = [key for one in rows for key in one if ", " in key]
    columns = {key: (key, key.startswith("tokens")) for key in dict.fromkeys(measured)} | COLUMNS
    shown = {key: column for key, column in columns.items() if any(one.get(key) is not None for one in rows)}
    lines = [f"# {title}", "", "| arm | " + " | ".join(head for head, _ in shown.values()) + " |"]
    lines.append("|---" + "|---:" * len(shown) + "|")
    for one in rated:
        label = one["arm"] if one["status"] == "done" else f"{one['arm']} ({one['status']})"
        cells = [_cell(one, key, rated=rated) for key, (_, rated) in shown.items()]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    failed = [f"- {one['arm']}: {one['error']} ({one['log']})" for one in rows if one["error"]]
    lines += ["", *failed] if failed else []
    return "\n".join(lines) + "\n"


def _cell(one: Row, key: str, *, rated: bool) -> str:
    value = one.get(key)
    if value is None:
        return ""
    text = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return f"{text} ({one['ratios'][key]:.2f}x)" if rated and key in one["ratios"] else text


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found
