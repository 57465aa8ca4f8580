"""The accuracy-parallelism curve of a sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from evals.curve import Point, aup
from evals.rundir import write_atomic
from evals.settings import Settings


def report_curves(root: Path, results: list[tuple[Settings, dict[str, Any]]], as_json: bool) -> None:
    """Print each benchmark's curve with its area and write all of them to `curve.json` in `root`."""
    curves = []
    for name in dict.fromkeys(settings.benchmark for settings, _ in results):
        rows = [(settings, summary) for settings, summary in results if settings.benchmark == name]
        points = [
            Point(summary["tpf"], 100 * summary["pass_at_1"], _label(settings, rows[0][0]))
            for settings, summary in rows
            if summary["forwards"]
        ]
        curves.append(
            {
                "benchmark": name,
                "points": [point._asdict() for point in sorted(points)],
                "aup": round(aup(points), 3) if points else None,
            }
        )
    write_atomic(root / "curve.json", json.dumps(curves, indent=1) + "\n")
    for curve in curves:
        click.echo(json.dumps({"curve": curve}) if as_json else _text(curve))


def _label(settings: Settings, first: Settings) -> str:
    """What differs from the sweep's first setting; its own values where nothing does."""
    ours, theirs = settings.to_dict(), first.to_dict()
    return ", ".join(f"{k}={v}" for k, v in ours.items() if v != theirs[k]) or "first setting"


def _text(curve: dict[str, Any]) -> str:
    lines = [f"{curve['benchmark']}: accuracy against parallelism"]
    lines += [
        f"  {p['rho']:6.2f} tokens/forward  {p['accuracy']:5.1f} %  {p['label']}" for p in curve["points"]
    ]
    if curve["aup"] is not None:
        lines.append(f"  AUP {curve['aup']:.1f} (own best accuracy as reference)")
    return "\n".join(lines)
