"""Code and diffs as highlighted text. Pygments is imported by the first text that needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from textual.content import Content

from tui.text import clean, clean_line, fit, plural

MAX_DIFF_LINES = 400
_FENCE = re.compile(r"^\s*(```|~~~)\s*([\w+-]*)")
_HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_LANGUAGES = {
    ".py": "python",
    ".bend": "python",
    ".md": "markdown",
    ".toml": "toml",
    ".json": "json",
    ".sh": "bash",
}
LineKind = Literal["+", "-", " ", "gap"]
_LINE_STYLES: dict[LineKind, str] = {
    "+": "on $success 14%",
    "-": "on $error 14%",
    " ": "",
    "gap": "$foreground-muted",
}


def highlight_code(code: str, language: str) -> Content:
    """Cleaned and highlighted `code`; a language that Pygments does not know comes back plain."""
    from tui.widgets.highlight import Plain, highlight

    return highlight(clean(code), language=language or "text", theme=Plain, tab_size=4)


def answer(text: str) -> Content:
    """A model's answer: prose as it is, fenced code highlighted."""
    parts: list[Content] = []
    buffer: list[str] = []
    fence: str | None = None
    for line in text.split("\n"):
        opened = _FENCE.match(line)
        if opened is None:
            buffer.append(line)
            continue
        parts += _flush(buffer, fence)
        fence = (opened[2] or "python") if fence is None else None
        parts.append(Content.styled(clean(line), "$foreground-muted"))
    return Content("\n").join(parts + _flush(buffer, fence))


def _flush(buffer: list[str], language: str | None) -> list[Content]:
    if not buffer:
        return []
    text = "\n".join(buffer)
    buffer.clear()
    return [Content(clean(text)) if language is None else highlight_code(text, language)]


@dataclass(frozen=True, slots=True)
class DiffLine:
    kind: LineKind
    number: int | None
    text: str


def parse_diff(diff: str) -> list[DiffLine]:
    """The lines of a unified diff with line numbers (the new file's; the old one's for a removed line)."""
    lines: list[DiffLine] = []
    old = new = 0
    in_hunk = False
    for line in diff.split("\n"):
        hunk = _HUNK.match(line)
        if hunk:
            if lines:
                lines.append(DiffLine("gap", None, "⋯"))
            old, new, in_hunk = int(hunk[1]), int(hunk[2]), True
        elif not in_hunk or not line:
            continue
        elif line[0] == "+":
            lines.append(DiffLine("+", new, line[1:]))
            new += 1
        elif line[0] == "-":
            lines.append(DiffLine("-", old, line[1:]))
            old += 1
        elif line[0] == " ":
            lines.append(DiffLine(" ", new, line[1:]))
            old, new = old + 1, new + 1
        else:  # "\ No newline at end of file"
            lines.append(DiffLine("gap", None, line))
    return lines


def diff_counts(diff: str) -> tuple[int, int]:
    """How many lines a unified diff adds and removes."""
    kinds = [line.kind for line in parse_diff(diff)]
    return kinds.count("+"), kinds.count("-")


def render_diff(diff: str, path: str, width: int) -> Content:
    """Highlighted rows, `width` cells each, so that the tint of a row reaches its end. Long ones are cut."""
    lines = parse_diff(diff)
    more = len(lines) - MAX_DIFF_LINES
    lines = lines[:MAX_DIFF_LINES]
    language = _LANGUAGES.get(PurePosixPath(path).suffix, "text")
    digits = max([len(str(line.number)) for line in lines if line.number is not None], default=1)
    room = max(8, width - digits - 3)
    texts = [clean_line(line.text) for line in lines]
    coloured = highlight_code("\n".join(texts), language).split("\n", allow_blank=True)
    rows = []
    for line, text, content in zip(lines, texts, coloured, strict=False):
        number = "" if line.number is None else str(line.number)
        if line.kind == "gap":
            rows.append(Content.styled(f"{'':>{digits}}   {fit(text, room)}", "$foreground-muted"))
            continue
        sign = {"+": ("+ ", "bold $text-success"), "-": ("- ", "bold $text-error"), " ": ("  ", "")}[
            line.kind
        ]
        content = content.truncate(room, ellipsis=True)
        pad = max(0, room - content.cell_length)
        row = Content.assemble((f"{number:>{digits}} ", "$foreground-muted"), sign, content, " " * pad)
        rows.append(row.stylize_before(_LINE_STYLES[line.kind]))
    if more > 0:
        rows.append(
            Content.styled(
                f"⋯ {plural(more, 'more line')}: open the file to see the rest", "$foreground-muted"
            )
        )
    return Content("\n").join(rows)
