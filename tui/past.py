"""Runs of before, as their sessions on disk tell: what was asked, how it ended, and how to ask it again."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import AgentError
from agent.session import Session, find, read_call, sessions
from agent.workspace import Workspace

_TAIL_BYTES = 64 * 1024  # the last event fits: it holds no tokens


@dataclass(frozen=True, slots=True)
class PastRun:
    """status: as in `agent.events.Done`; `unfinished` for a run that was killed or still goes on, `damaged`
    for one whose record cannot be read."""

    session: Session
    task: str = ""
    workdir: str = ""
    status: str = "damaged"
    tokens: int = 0
    tokens_per_forward: float = 0.0

    @property
    def when(self) -> str:
        """`YYYY-MM-DD HH:MM`, UTC."""
        name = self.session.id
        return f"{name[:4]}-{name[4:6]}-{name[6:8]} {name[9:11]}:{name[11:13]}"

    @property
    def prompt(self) -> str:
        """What to type to run it again: the task file where one was run, else the task's text."""
        try:
            return f"/run {read_call(self.session)['task_file']}"
        except (AgentError, KeyError):
            return self.task


def past_runs(limit: int = 200) -> list[PastRun]:
    """The newest first."""
    return [_read(session) for session in sessions()[:limit]]


def undo(session_id: str) -> tuple[str, ...]:
    """Put the files of a run back as they were before it, and return their names; a file that was edited
    since is left alone. Raises agent.errors.AgentError."""
    before = find(session_id).before
    return Workspace.recover(before) if before.is_dir() else ()


def _read(session: Session) -> PastRun:
    """From the first and the last event: a record of a long run has a hundred thousand between them."""
    try:
        with session.events.open("rb") as file:
            started: dict[str, Any] = json.loads(file.readline())
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
        task, workdir = str(started["task"]), str(Path(started["workdir"]))
    except (OSError, ValueError, KeyError):
        return PastRun(session)
    try:
        done = json.loads(last)
        ended = done["type"] == "done"
    except (ValueError, KeyError, TypeError):  # cut off in the middle of an event
        ended = False
    if not ended:
        return PastRun(session, task, workdir, "unfinished")
    return PastRun(session, task, workdir, done["status"], done["tokens"], done["tokens_per_forward"])
