"""Taking up a run that did not end well."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent import session
from agent.cli import cli
from agent.errors import RecordError, SessionError

TASK = "---\nfiles: [twice.py]\n---\n```python\ndef twice(x: int) -> int:\n    ...\n```\n`twice(2) == 4`\n"


@pytest.fixture
def folder(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (workdir / "task.md").write_text(TASK)
    (workdir / "replies.json").write_text(json.dumps(["    return x\n"]))
    monkeypatch.chdir(workdir)
    return workdir


def agent(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args), standalone_mode=False, catch_exceptions=False)


def run() -> Any:
    flags = ("--model", "scripted:replies.json", "--no-plan", "--max-repairs", "0", "--output", "json")
    return agent("run", "task.md", *flags).return_value


def test_a_failed_run_is_taken_up_as_it_was_called(folder: Path) -> None:
    assert run() == 1
    (folder / "replies.json").write_text(json.dumps(["    return 2 * x\n"]))
    result = agent("sessions", "resume", "--output", "json")
    assert result.return_value == 0
    done = json.loads(result.stdout)
    assert (done["status"], done["repairs"]) == ("solved", 0)
    assert "2 * x" in (folder / "twice.py").read_text()
    assert len(session.sessions()) == 2
    with pytest.raises(SessionError, match="was solved"):
        agent("sessions", "resume")
    rows = json.loads(agent("sessions", "list", "--json").stdout)
    assert {row["status"] for row in rows} == {"failed", "solved"}


def test_what_a_killed_run_left_is_put_back_first(folder: Path) -> None:
    assert run() == 1
    killed = session.sessions()[0]
    lines = killed.events.read_text().splitlines(keepends=True)
    killed.events.write_text("".join(line for line in lines if '"type": "done"' not in line))
    from agent.workspace import Workspace

    work = Workspace(folder, ("twice.py",), killed.before)
    work.write("twice.py", "half")
    assert agent("sessions", "resume", "--output", "json").return_value == 1
    assert not (folder / "twice.py").exists()


def test_a_session_that_does_not_say_how_it_was_called(folder: Path) -> None:
    session.create()
    with pytest.raises(SessionError, match="run its task file again"):
        agent("sessions", "resume")


def test_the_newest_of_one_second_comes_first(folder: Path) -> None:
    made = []
    for _ in range(30):
        made.append(session.create().id)
        time.sleep(0.0001)  # names of one 65,536th of a second are not ordered
    assert [found.id for found in session.sessions()] == made[::-1]


def test_a_file_where_the_sessions_belong(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("")
    with pytest.raises(RecordError, match="not a folder"):
        session.create(tmp_path)
