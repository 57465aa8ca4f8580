"""Curves of one or several runs, from their log.jsonl, as a PNG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model.data.packages import DataError

PANELS = (
    ("loss", ("loss", "token", "refined_token", "kl", "next_token", "length")),
    ("shares: draft tokens right, rollouts solved", ("right", "refined_right", "rollout_solved")),
    ("tokens/s", ("draft_tokens_per_s", "clean_tokens_per_s")),
    ("learning rate", ("learning_rate",)),
)


def read_log(run: Path) -> list[dict[str, Any]]:
    """Raises DataError when the run has no records."""
    path = run / "log.jsonl"
    try:
        records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is no log of a run ({error})") from error
    if not records:
        raise DataError(f"{path} holds no records yet; the first comes after step 1")
    return records


def draw(runs: list[Path], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), constrained_layout=True)
    for run in runs:
        records = read_log(run)
        for axis, (title, names) in zip(axes.flat, PANELS, strict=True):
            axis.set_title(title)
            axis.set_xlabel("step")
            for name in names:
                points = [(r["step"], r[name]) for r in records if r.get(name) is not None]
                if points:
                    label = name if len(runs) == 1 else f"{run.name}: {name}"
                    axis.plot(*zip(*points, strict=True), label=label, linewidth=1)
            axis.grid(alpha=0.3)
            axis.legend(fontsize=7)
    figure.savefig(out, dpi=130)
    pyplot.close(figure)
