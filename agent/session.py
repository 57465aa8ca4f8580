"""Sessions: one folder a run under the data folder, `<data>/sessions/<id>/`.

    events.jsonl      every event as it happened, one JSON object a line (the record)
    trajectory.json   the same run as ATIF, rewritten whole as it grows (see agent.trajectory)
    before/           the files the run changed, as they were (see agent.workspace)
    call.json         how `agent run` was called, for `agent sessions resume`

The data folder is $TRIHEAD_HOME, else the platform's user data folder.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import RecordError, SessionError

_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


def data_folder() -> Path:
    home = os.environ.get("TRIHEAD_HOME")
    if home:
        return Path(home).expanduser()
    import platformdirs  # not needed when the folder is given

    return Path(platformdirs.user_data_dir("trihead"))


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    folder: Path

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def trajectory(self) -> Path:
        return self.folder / "trajectory.json"

    @property
    def before(self) -> Path:
        return self.folder / "before"

    @property
    def call(self) -> Path:
        return self.folder / "call.json"


def save_call(
    session: Session,
    task_file: Path,
    model: str | None,
    workdir: Path | None,
    test_cmd: str | None,
    flags: dict[str, Any],
) -> None:
    """Keep how the run was called. Raises RecordError when the disk refuses it."""
    call = {
        "task_file": str(task_file.resolve()),
        "model": model,
        "workdir": str(workdir.resolve()) if workdir else None,
        "test_cmd": test_cmd,
        **flags,
    }
    try:
        session.call.write_text(json.dumps(call), "utf-8")
    except OSError as error:
        raise RecordError(f"{session.folder}: cannot be written ({error.strerror})") from error


def read_call(session: Session) -> dict[str, Any]:
    """The keyword arguments of `agent run`. Raises SessionError for a session that was not made by it."""
    try:
        call: dict[str, Any] = json.loads(session.call.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SessionError(f"{session.id} does not say how it was called; run its task file again") from error
    paths = {key: Path(call[key]) for key in ("task_file", "workdir") if call.get(key)}
    return {**call, **paths}


def new_id() -> str:
    """`YYYYMMDD-HHMMSS-xxxxxx` in UTC. Sorts by time: the hexadecimal digits are the second's 65,536ths, then
    two at random that tell apart what was named at once."""
    now = datetime.datetime.now(datetime.UTC)
    part = now.microsecond * 65536 // 1_000_000
    return f"{now:%Y%m%d-%H%M%S}-{part:04x}{secrets.token_hex(1)}"


def create(root: Path | None = None) -> Session:
    """Make the folder of a new session, readable by its owner only. Raises RecordError when it cannot."""
    base = (root or data_folder()) / "sessions"
    while True:
        session = Session(name := new_id(), base / name)
        try:
            base.mkdir(parents=True, exist_ok=True)
            session.folder.mkdir(mode=0o700)
            break
        except FileExistsError:
            if not base.is_dir():  # a file lies where the folder belongs; else another process took the name
                raise RecordError(f"{base}: is not a folder; set TRIHEAD_HOME") from None
        except OSError as error:
            raise RecordError(
                f"{base}: cannot make a session folder ({error.strerror}); set TRIHEAD_HOME"
            ) from error
    return session


def sessions(root: Path | None = None) -> list[Session]:
    """All sessions, newest first."""
    base = (root or data_folder()) / "sessions"
    if not base.is_dir():
        return []
    names = sorted((p.name for p in base.iterdir() if _ID.fullmatch(p.name)), reverse=True)
    return [Session(name, base / name) for name in names]


def find(prefix: str, root: Path | None = None) -> Session:
    """The one session whose id starts with `prefix`; `last` is the newest. Raises SessionError."""
    known = sessions(root)
    if not known:
        raise SessionError("there are no sessions yet; 'agent run TASK.md' makes one")
    if prefix == "last":
        return known[0]
    found = [s for s in known if s.id == prefix] or [s for s in known if prefix and s.id.startswith(prefix)]
    if len(found) != 1:
        what = "no session has" if not found else f"{len(found)} sessions have"
        raise SessionError(f"{what} an id that starts with '{prefix}'; see 'agent trajectories list'")
    return found[0]
