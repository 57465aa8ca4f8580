"""The smaller blocks of the transcript: the task, a repair, what was put back, the end, a message."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from agent.events import Done, FormatFailed, Repairing, Restored, RunStatus, Scaffolded
from tui.text import clean, clean_line, duration, plural, tail
from tui.widgets.block import Block
from tui.widgets.code import highlight_code
from tui.widgets.verdict import EVIDENCE_LINES
from verify.verdict import Status

TASK_LINES = 20
_ENDINGS: dict[RunStatus, tuple[str, str, str]] = {
    "solved": ("✓", "Solved", "good"),
    "failed": ("✗", "Not solved", "bad"),
    "limit": ("✗", "Limit reached", "bad"),
    "error": ("!", "Error", "bad"),
    "cancelled": ("■", "Interrupted", "unsure"),
}


class TaskBlock(Static):
    """What the person asked for; of a long paste the beginning."""

    def __init__(self, text: str) -> None:
        lines = clean(text.strip("\n")).split("\n")
        if len(lines) > TASK_LINES:
            more = plural(len(lines) - TASK_LINES + 1, "more line")
            lines = [*lines[: TASK_LINES - 1], f"\N{HORIZONTAL ELLIPSIS} {more}"]
        super().__init__(Content("\n".join(lines)), classes="task")


class MessageBlock(Block):
    """A line to the person: `error` says what is wrong and how to mend it, `info` answers a command."""

    def __init__(self, title: str, text: str = "", *, kind: str = "info") -> None:
        body = [Static(Content(clean(text)), classes="message")] if text else []
        super().__init__({"bad": "!", "unsure": "?"}.get(kind, "i"), clean_line(title), *body, kind=kind)


class ScaffoldBlock(Block):
    """Signature and docstring, fixed from here on; folded when they were in the task all along."""

    def __init__(self, event: Scaffolded) -> None:
        origin = {"task": "from the task", "file": "from the file", "model": "from the model"}.get(
            event.origin, ""
        )
        super().__init__(
            "◇",
            f"Scaffold  {clean_line(event.entry)}",
            Static(highlight_code(event.text.strip("\n"), "python"), classes="answer"),
            note=origin,
            kind="call",
            folded=event.origin != "model",
        )


class FormatBlock(Block):
    def __init__(self, event: FormatFailed) -> None:
        super().__init__(
            "!",
            "No usable edit in the answer",
            Static(Content(clean(tail(event.reason, EVIDENCE_LINES))), classes="evidence"),
            note=f"{plural(event.consecutive, 'time')} in a row" if event.consecutive > 1 else "",
            kind="unsure",
        )


class RepairBlock(Block):
    """The evidence the model is given; folded, since the verdict above shows the same."""

    def __init__(self, event: Repairing) -> None:
        super().__init__(
            "↻",
            f"Repair {event.attempt}  with the evidence above",
            Static(Content(clean(tail(event.evidence, 40))), classes="evidence"),
            kind="repair",
            folded=True,
        )


class RestoredBlock(Block):
    def __init__(self, event: Restored) -> None:
        names = ", ".join(clean_line(path) for path in event.paths)
        super().__init__(
            "↺", f"Put back as it was: {names}", note=plural(len(event.paths), "file"), kind="info"
        )


class DoneBlock(Block):
    """How the run ended, and what it took."""

    def __init__(self, event: Done) -> None:
        glyph, title, kind = _ENDINGS[event.status]
        lines: list[Content] = []
        if event.verdict is not None and event.verdict.status is Status.UNSUPPORTED and event.files_changed:
            glyph, title, kind = "?", "Written, not verified", "unsure"
            lines.append(
                Content(
                    "Examples in the task make it checkable: f(1) == 2, or a doctest; /run takes a task file."
                )
            )
        elif event.error and event.status != "cancelled":
            lines.append(Content(clean(event.error)))
        if event.files_changed:
            lines.append(_field("files", ", ".join(clean_line(path) for path in event.files_changed)))
        if event.forwards:
            lines.append(
                _field(
                    "decode",
                    f"{plural(event.tokens, 'token')} · {plural(event.forwards, 'forward')} · "
                    f"{event.tokens_per_forward:.2f} tokens per forward",
                )
            )
        lines.append(
            _field("loop", f"{plural(event.steps, 'model call')} · {plural(event.repairs, 'repair')}")
        )
        if event.session_id:
            lines.append(_field("session", clean_line(event.session_id)))
        super().__init__(
            glyph,
            title,
            Static(Content("\n").join(lines), classes="summary"),
            note=duration(event.wall_s),
            kind=f"{kind} -done",
        )


def _field(name: str, value: str) -> Content:
    return Content.assemble((f"{name:<8}", "$foreground-muted"), value)
