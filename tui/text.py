"""Text that is safe and short enough to show.

Model output, program output, file names and pastes are untrusted. `clean` is the only door through which they
reach a widget: `agent.untrusted` takes out control sequences, bidirectional overrides and surrogates, and
what is left is shown as `textual.content.Content`, which parses no markup.
"""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len, set_cell_size

from agent import untrusted

TAB = " " * 4


def clean(text: str) -> str:
    """`text` without control characters; newlines stay, tabs become spaces of a known width."""
    return untrusted.clean(text).replace("\t", TAB)


def clean_line(text: str) -> str:
    """`clean` for a place that has one row: newlines become a visible mark."""
    return clean(text.rstrip("\n")).replace("\n", " \N{DOWNWARDS ARROW WITH CORNER LEFTWARDS} ")


def fit(text: str, width: int) -> str:
    """`text` in at most `width` terminal cells, the end cut with an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def fit_left(text: str, width: int) -> str:
    """`fit` that cuts the beginning: for paths, whose end says more."""
    if width <= 0:
        return ""
    while cell_len(text) > width:
        text = "\N{HORIZONTAL ELLIPSIS}" + text.lstrip("\N{HORIZONTAL ELLIPSIS}")[1:]
        if text == "\N{HORIZONTAL ELLIPSIS}":
            break
    return text


def tail(text: str, lines: int) -> str:
    """The last `lines` lines, with a note of how many were left out."""
    rows = text.rstrip("\n").split("\n")
    if len(rows) <= lines:
        return "\n".join(rows)
    return "\n".join([f"\N{HORIZONTAL ELLIPSIS} {plural(len(rows) - lines, 'line')} above", *rows[-lines:]])


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(seconds: float) -> str:
    """`0.8 s`, `12.3 s`, `2 min 05 s`."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def whole_seconds(seconds: float) -> str:
    """`12 s`, `2 min 05 s`: for a clock that is redrawn while it runs."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def home_path(path: Path) -> str:
    """`path` with the home folder as `~`, cleaned."""
    try:
        return clean_line(str(Path("~") / path.relative_to(Path.home())))
    except ValueError:
        return clean_line(str(path))
