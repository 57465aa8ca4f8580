"""Trajectories on disk: the event stream of a run as `events.jsonl` and as an ATIF v1.8 document.

    for event in recorded(run(task, model, checker, options), session):
        ...

`events.jsonl` is the record: one line an event, written at once, synced at every event that is not a decoding
step (steps at most every quarter second), so a killed run keeps everything up to its last event.
`trajectory.json` is built from it by `agent.atif` and replaced atomically at every answer, verdict and end.
Secrets are redacted on the way in; the token ids of a call whose prompt or answer held one are dropped, since
they spell it.
"""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.atif import build
from agent.errors import RecordError, SessionError
from agent.events import Decoded, Done, Event, ModelAnswered, ModelCalled, Repairing, Started, Verified
from agent.redact import Redactor
from agent.session import Session
from model.wholefile import write_whole

_SYNC_SECONDS = 0.25
_SNAPSHOTS = (Started, ModelAnswered, Verified, Repairing, Done)


def recorded(events: Generator[Event, None, None], session: Session) -> Generator[Event, None, None]:
    """Pass the events through, each on disk before it is seen. Raises RecordError when the disk refuses."""
    # Closing the run when its record fails is what puts the files back.
    with closing(events), Recorder(session) as recorder:
        for event in events:
            recorder.write(event)
            yield event


class Recorder:
    """Appends events to a session's files. A context manager."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._redact = Redactor(os.environ)
        self._rows: list[dict[str, Any]] = []
        self._secret_calls: set[int] = set()
        self._synced = 0.0
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(session.events, flags, 0o600)

    def write(self, event: Event) -> None:
        """Put one event on disk. Raises RecordError when the disk refuses it."""
        row = {"at": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")}
        row |= self._clean(event)
        self._rows.append(row)
        try:
            _write_all(self._file, json.dumps(row, ensure_ascii=True).encode() + b"\n")
            now = time.monotonic()
            if not isinstance(event, Decoded) or now - self._synced > _SYNC_SECONDS:
                os.fsync(self._file)
                self._synced = now
            if isinstance(event, _SNAPSHOTS):
                write_whole(self._session.trajectory, json.dumps(build(self._rows)))
        except OSError as error:
            raise RecordError(f"{self._session.folder}: cannot be written ({error.strerror})") from error

    def _clean(self, event: Event) -> dict[str, Any]:
        row, found = self._redact(event.to_dict())
        if isinstance(event, ModelCalled | ModelAnswered) and found:
            self._secret_calls.add(event.call)
        if isinstance(event, Decoded | ModelAnswered) and event.call in self._secret_calls:
            _drop_tokens(row)
        return dict(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


def read_events(session: Session) -> list[dict[str, Any]]:
    """The rows of `events.jsonl`; a last line cut off by a crash is left out. Raises SessionError."""
    try:
        lines = session.events.read_bytes().split(b"\n")
    except OSError as error:
        raise SessionError(f"{session.events}: cannot be read ({error.strerror})") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise SessionError(f"{session.events}: line {number} is damaged") from error
    return rows


def read_trajectory(session: Session) -> dict[str, Any]:
    """The session's ATIF document, built anew from its events: complete also after a crash."""
    return build(read_events(session))


def export(session: Session, path: Path) -> None:
    """Write the session's ATIF document to `path`, atomically."""
    write_whole(path, json.dumps(read_trajectory(session)))


def _drop_tokens(row: dict[str, Any]) -> None:
    """Take out what spells a secret token by token."""
    if row["type"] == "decoded":
        step = row["step"]
        step["text"] = ""
        for key in ("committed", "revised", "draft"):
            step[key] = [{**token, "id": -1, "text": ""} for token in step[key]]
    else:
        row["generation"] |= {"token_ids": [], "logprobs": [], "prompt_ids": [], "commit_step": []}
        row["redacted"] = True


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
