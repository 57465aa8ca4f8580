"""What a backend reports about one evaluation of a program, before any judging."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verify.bend.gate import HARNESS, SPACE
from verify.verdict import Status

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Run:
    """`status` is PASSED when there is a `result` to read (nothing is judged yet); otherwise `detail` says
    why not."""

    status: Status
    result: str = ""
    detail: str = ""
    backend: str = ""
    version: str = ""
    isolation: str = ""
    wall_ms: float = 0.0
    queue_ms: float = 0.0
    compile_ms: float | None = None
    eval_ms: float | None = None
    interactions: int | None = None
    max_rss_kb: int | None = None
    stderr: str = ""


def plain(text: str) -> str:
    """A compiler's message without colours, and with the candidate's own names."""
    return _ANSI.sub("", text).replace(SPACE, "").replace(HARNESS, "harness/").strip()


def compile_status(message: str) -> Status:
    """TYPE_ERROR for what the type checker refused, COMPILE_ERROR for the rest."""
    if "Type Error:" in message or "Can't unify" in message:
        return Status.TYPE_ERROR
    return Status.COMPILE_ERROR
