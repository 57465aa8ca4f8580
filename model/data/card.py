"""The data card: what the prompts are made of, under which licences, and what was left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.data.build import Report


def write_card(out: Path, seed: int, report: Report) -> None:
    """Write `card.md` into `out`."""
    (out / "card.md").write_text(card(seed, report), "utf-8")


def card(seed: int, report: Report) -> str:
    lines = [
        "# Data card",
        "",
        f"{report.train} training prompts, {report.held_out} held-out ones, each made of a documented",
        f"Python function. Seed {seed}. No answer is taken from a package: the base writes them itself.",
        "",
        "| form of the prompt | count |",
        "|---|---|",
        *(f"| {form} | {count} |" for form, count in report.forms.most_common()),
        "",
        "| left out because | functions |",
        "|---|---|",
        *(f"| {reason} | {count} |" for reason, count in report.dropped.most_common()),
        "",
        "| package | version | licence (as stated) | prompts |",
        "|---|---|---|---|",
        *(f"| {p.name} | {p.version} | {p.licence} ({p.stated}) | {n} |" for p, n in report.packages),
    ]
    if report.refused:
        names = ", ".join(f"{p.name} {p.version} ({p.stated or 'no licence stated'})" for p in report.refused)
        lines += ["", f"Refused for their licence: {names}."]
    return "\n".join(lines) + "\n"
