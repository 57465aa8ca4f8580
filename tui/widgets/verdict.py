"""A verdict: its status in words, a flag for each case, and the evidence."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from agent.events import Verified
from tui.text import clean, clean_line, plural, tail
from tui.widgets.block import Block
from verify.verdict import NEVER_A_REWARD, Status, Verdict

FLAGS: dict[bool | None, tuple[str, str]] = {
    True: ("✓", "$text-success"),
    False: ("✗", "bold $text-error"),
    None: ("–", "$foreground-muted"),
}
MAX_FLAGS = 200
EVIDENCE_LINES = 14
STATUS_WORDS: dict[Status, str] = {
    Status.PASSED: "Passed",
    Status.FAILED: "Failed",
    Status.COMPILE_ERROR: "Does not compile",
    Status.TYPE_ERROR: "Type error",
    Status.RUNTIME_ERROR: "Crashed",
    Status.TIMEOUT: "Ran out of time",
    Status.FUEL: "Ran out of fuel",
    Status.OOM: "Ran out of memory",
    Status.OUTPUT_LIMIT: "Printed too much",
    Status.BAD_OUTPUT: "Bad output",
    Status.REFUSED: "Refused to run",
    Status.UNSUPPORTED: "Nothing verified",
    Status.UNAVAILABLE: "Could not verify",
    Status.INTERNAL_ERROR: "The verifier failed",
}


def verdict_kind(verdict: Verdict) -> str:
    """The colour of a verdict: unlike a failure, no verdict says nothing about the program."""
    if verdict.ok:
        return "good"
    return "unsure" if verdict.status in NEVER_A_REWARD else "bad"


def verdict_glyph(verdict: Verdict) -> str:
    return {"good": "✓", "bad": "✗", "unsure": "?"}[verdict_kind(verdict)]


def verdict_title(verdict: Verdict) -> str:
    words = STATUS_WORDS[verdict.status]
    if verdict.total and verdict.status not in NEVER_A_REWARD:
        return f"{words}  {verdict.passed} of {plural(verdict.total, 'case')}"
    return words


def flags(verdict: Verdict) -> Content:
    """One mark a case: passed, failed, or not run."""
    shown = verdict.per_case[:MAX_FLAGS]
    parts: list[tuple[str, str]] = []
    for flag in shown:
        glyph, style = FLAGS[flag]
        parts += [(glyph, style), (" ", "")]
    if len(verdict.per_case) > MAX_FLAGS:
        rest = verdict.per_case[MAX_FLAGS:]
        parts.append((f"⋯ {len(rest):,} more, {rest.count(False):,} failed", "$foreground-muted"))
    return Content.assemble(*parts)


def evidence(verdict: Verdict) -> Content:
    """What the verifier said, then what the program wrote, cleaned and cut."""
    parts: list[Content] = []
    if verdict.detail.strip():
        parts.append(Content(clean(tail(verdict.detail.strip("\n"), EVIDENCE_LINES))))
    for name, text, cut in (
        ("stderr", verdict.stderr, verdict.stderr_truncated),
        ("stdout", verdict.stdout, verdict.stdout_truncated),
    ):
        if text.strip() and not verdict.ok:
            parts.append(Content.styled(f"{name}{' (cut)' if cut else ''}", "$foreground-muted"))
            parts.append(Content(clean(tail(text, EVIDENCE_LINES))))
    return Content("\n").join(parts)


class VerdictBlock(Block):
    def __init__(self, event: Verified) -> None:
        verdict = event.verdict
        backend = " ".join(part for part in (verdict.backend, f"{verdict.wall_ms:,.0f} ms") if part)
        body: list[Widget] = []
        if verdict.per_case and not (event.fresh and verdict.ok):  # the same marks as just above
            body.append(Static(flags(verdict), classes="flags"))
        if proof := evidence(verdict):
            body.append(Static(proof, classes="evidence"))
        if verdict.status is Status.UNSUPPORTED and not verdict.total:
            body.append(Static("No tests were given: nothing was verified.", classes="advice", markup=False))
        super().__init__(
            verdict_glyph(verdict),
            verdict_title(verdict) + ("  (again, in a fresh sandbox)" if event.fresh else ""),
            *body,
            note=clean_line(backend),
            kind=verdict_kind(verdict),
        )
