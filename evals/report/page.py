"""A run as one HTML page: everything inline, no network, opens from disk.

The data travels as JSON in a script element that is not executed; all text from models and programs is put
into the page as text nodes, never as markup. Rows are drawn as they scroll into view, so thousands of samples
open at once.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from evals.rundir import RunFolder
from evals.sample import Sample, scored_from_row
from evals.summary import summarise


def render(folder: RunFolder, prompts: dict[str, str], curve: list[dict[str, Any]] | None = None) -> str:
    """The page's text. `prompts`: by task id, what is known of them. `curve`: of a sweep, from curve.json."""
    config = folder.config
    verdicts, timings = folder.verdicts(), folder.timings()
    data = {
        "config": config,
        "summary": {**summarise(folder), "wall_s": (folder.summary or {}).get("wall_s")},
        "prompts": prompts,
        "samples": [_row(s, verdicts.get(s.key), timings.get(s.key, {})) for s in folder.samples()],
        "curve": curve or [],
    }
    package = resources.files("evals.report")
    page = package.joinpath("page.html").read_text(encoding="utf-8")
    # `</script` and `<!--` inside the data would end or change the element; `<` is escaped as JSON allows.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    title = f"{config['title']}: {config['settings']['model']}"
    return (
        page.replace("__TITLE__", _escape(title))
        .replace("/*__STYLE__*/", package.joinpath("page.css").read_text(encoding="utf-8"))
        .replace("/*__SCRIPT__*/", package.joinpath("page.js").read_text(encoding="utf-8"))
        .replace("__DATA__", text)
    )


def _row(sample: Sample, verdict: dict[str, Any] | None, timing: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "t": sample.task_id,
        "i": sample.sample,
        "code": sample.solution,
        "raw": "" if sample.raw == sample.solution else sample.raw,
        "tok": sample.tokens,
        "fwd": sample.forwards,
        "fin": sample.finish_reason,
        "steps": list(sample.commit_step),
        "s": timing.get("wall_s"),
        "ok": None,
    }
    if verdict is not None:
        scored = scored_from_row(verdict)
        row["ok"] = None if scored.infra else scored.ok
        row["base"], row["plus"] = verdict["base"], verdict["plus"]
        row["flaky"] = verdict["flaky"]
    return row


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
