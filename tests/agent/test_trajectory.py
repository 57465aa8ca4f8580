"""What is on disk after a run, also one that was killed in the middle."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import atif, session
from agent.errors import RecordError, SessionError
from agent.events import Event
from agent.loop import run
from agent.options import Options
from agent.task import Task
from agent.trajectory import Recorder, read_events, read_trajectory, recorded
from model.scripted import ScriptedModel
from verify.checker import open_checker
from verify.request import Case

STEP_KEYS = {
    "step_id", "timestamp", "source", "message", "model_name", "tool_calls", "observation", "metrics",
    "extra", "llm_call_count",
}  # fmt: skip
METRIC_KEYS = {
    "prompt_tokens", "completion_tokens", "prompt_token_ids", "completion_token_ids", "logprobs", "extra",
}  # fmt: skip


def check_atif(document: dict[str, object]) -> None:
    """The rules of ATIF v1.8 that a reader with `extra="forbid"` enforces."""
    document = json.loads(json.dumps(document))
    assert document["schema_version"] == "ATIF-v1.8"
    assert set(document["agent"]) <= {"name", "version", "model_name", "tool_definitions", "extra"}
    for number, step in enumerate(document["steps"], 1):
        assert step["step_id"] == number
        assert set(step) <= STEP_KEYS
        assert step["source"] in ("user", "agent")
        if step["source"] == "user":
            assert not set(step) & {"model_name", "tool_calls", "metrics", "llm_call_count"}
        else:
            assert set(step["metrics"]) <= METRIC_KEYS
        calls = {c["tool_call_id"] for c in step.get("tool_calls", [])}
        for result in step.get("observation", {"results": []})["results"]:
            assert set(result) <= {"source_call_id", "content", "extra"}
            assert result.get("source_call_id") in {None, *calls}


def double_task(workdir: Path) -> Task:
    return Task("Write double(x).", workdir, cases=(Case(args=(2,), expected=4),), entry="double")


REPLIES = ["x: int) -> int", "Twice x.", "    return x + 1\n", "    return 2 * x\n"]


def solved_run(workdir: Path) -> tuple[session.Session, list[Event]]:
    record = session.create()
    options = Options(session=record, plan=False)
    with open_checker() as checker:
        events = list(recorded(run(double_task(workdir), ScriptedModel(REPLIES), checker, options), record))
    return record, events


def test_a_run_is_on_disk_as_events_and_as_atif(workdir: Path) -> None:
    record, events = solved_run(workdir)
    rows = read_events(record)
    assert [r["type"] for r in rows] == [e.type for e in events]
    document = json.loads(record.trajectory.read_text())
    check_atif(document)
    assert document == read_trajectory(record)
    phases = [s.get("extra", {}).get("phase") for s in document["steps"]]
    assert phases == [None, "scaffold", "scaffold", "infill", "repair"]
    outcome = document["extra"]["outcome"]
    assert (outcome["status"], outcome["files_changed"]) == ("solved", ["solution.py"])
    assert document["final_metrics"]["total_completion_tokens"] == sum(
        len(s["metrics"]["completion_token_ids"]) for s in document["steps"][1:]
    )
    repair = document["steps"][-1]
    assert len(repair["metrics"]["logprobs"]) == len(repair["metrics"]["extra"]["commit_step"])
    assert [c["function_name"] for c in repair["tool_calls"]] == ["edit", "verify", "verify"]
    assert repair["tool_calls"][-1]["arguments"] == {"fresh": True}
    assert repair["observation"]["results"][-1]["extra"]["verdict"]["status"] == "passed"
    assert repair["extra"]["messages"][0]["role"] == "user"
    assert not any(p.name.endswith(".part") for p in record.folder.rglob("*"))


def test_every_prefix_of_the_events_is_a_valid_document(workdir: Path) -> None:
    record, _ = solved_run(workdir)
    rows = read_events(record)
    for length in range(len(rows) + 1):
        document = atif.build(rows[:length])
        check_atif(document)
        assert document["extra"]["complete"] == (length == len(rows))


def test_a_killed_run_keeps_everything_up_to_its_last_event(workdir: Path, data_folder: Path) -> None:
    # A reply of 100,000 tokens is still being written when the process is killed.
    (workdir / "replies.json").write_text(json.dumps(["    x = 1\n" * 20_000]))
    (workdir / "task.md").write_text(
        'Write f().\n```python\ndef f() -> int:\n    """One."""\n```\n`f() == 1`'
    )
    command = [
        sys.executable,
        "-m",
        "agent.cli",
        "run",
        "task.md",
        "--model",
        "scripted:replies.json",
        "--no-plan",
    ]
    command += ["--max-tokens", "100000", "--output", "stream-json"]
    process = subprocess.Popen(command, cwd=workdir, stdout=subprocess.PIPE)
    assert process.stdout
    seen = 0
    while seen < 50:
        row = json.loads(process.stdout.readline())
        seen += row["type"] == "decoded"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (record,) = session.sessions(data_folder)
    document = read_trajectory(record)
    check_atif(document)
    step = document["steps"][-1]
    assert step["metrics"]["extra"]["finish_reason"] == "killed"
    assert len(step["metrics"]["completion_token_ids"]) >= 50
    assert step["message"].startswith("    x = 1\n    x")
    assert not document["extra"]["complete"]
    check_atif(json.loads(record.trajectory.read_text()))
    # A line torn in the middle by the kill is no obstacle; a damaged one further up is named.
    with record.events.open("ab") as stream:
        stream.write(b'{"type": "deco')
    check_atif(read_trajectory(record))
    record.events.write_bytes(b"{broken\n" + record.events.read_bytes())
    with pytest.raises(SessionError, match="line 1 is damaged"):
        read_trajectory(record)


def test_cancel_in_mid_answer_keeps_the_tokens(workdir: Path) -> None:
    record, cancel = session.create(), threading.Event()
    model = ScriptedModel([*REPLIES[:2], "    return 2 * x\n" * 50])
    with open_checker() as checker:
        stream = run(double_task(workdir), model, checker, Options(session=record, plan=False), cancel)
        for event in recorded(stream, record):
            if event.type == "decoded" and event.to_dict()["phase"] == "infill":
                cancel.set()
    document = read_trajectory(record)
    check_atif(document)
    assert document["extra"]["outcome"]["status"] == "cancelled"
    assert document["extra"]["outcome"]["exit_code"] == 130
    assert document["steps"][-1]["metrics"]["extra"]["finish_reason"] == "cancelled"
    assert document["steps"][-1]["message"]
    assert not (workdir / "solution.py").exists()


def test_secrets_reach_no_file(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_API_KEY", "very-secret-value-42")
    monkeypatch.setenv("HARMLESS_SETTING", "visible-setting")
    (workdir / "config.py").write_text('KEY = "very-secret-value-42"\n')
    reply = 'config.py\n```python\nKEY = "very-secret-value-42"  # visible-setting\n```\n'
    task = Task("Change it.", workdir, files=("config.py",))
    record = session.create()
    with open_checker() as checker:
        list(
            recorded(run(task, ScriptedModel([reply]), checker, Options(session=record, plan=False)), record)
        )
    written = record.events.read_text() + record.trajectory.read_text()
    assert "very-secret-value-42" not in written
    assert "[redacted:SERVICE_API_KEY]" in written
    assert "visible-setting" in written
    # Token by token it would be readable again.
    decoded = [r for r in read_events(record) if r["type"] == "decoded"]
    assert decoded
    assert {t["id"] for r in decoded for t in r["step"]["committed"]} == {-1}
    document = read_trajectory(record)
    check_atif(document)
    assert document["steps"][-1]["metrics"]["completion_token_ids"] == []
    assert document["steps"][-1]["extra"]["redacted"]


@given(st.lists(st.sampled_from(["plan", "infill", "repair"]), max_size=3), st.integers(0, 40))
def test_cut_anywhere_the_file_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, phases: list[str], cut: int
) -> None:
    from agent.events import ModelCalled, Planned, Started

    record = session.create(tmp_path_factory.mktemp("cut"))
    with Recorder(record) as recorder:
        recorder.write(Started("id", "task\u2028", "m", "ar", "/w", ""))
        for call, phase in enumerate(phases, 1):
            recorder.write(ModelCalled(phase, call, ()))  # type: ignore[arg-type]  # drawn as plain text
            recorder.write(Planned("text"))
    data = record.events.read_bytes()
    whole = len(read_events(record))
    os.truncate(record.events, len(data) - min(cut, len(data) - 1))
    rows = read_events(record)
    assert whole - 1 - cut // 20 <= len(rows) <= whole


def test_session_ids_sort_by_time_and_are_found_by_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["20260101-000000-abcdef", "20260102-000000-123456"])
    monkeypatch.setattr(session, "new_id", lambda: next(ids))
    with pytest.raises(SessionError, match="no sessions yet"):
        session.find("last")
    first = session.create()
    second = session.create()
    assert [s.id for s in session.sessions()] == [second.id, first.id]
    assert session.find("last") == second
    assert session.find(first.id[:8]) == first
    with pytest.raises(SessionError, match="2 sessions have"):
        session.find(first.id[:5])
    with pytest.raises(SessionError, match="no session has"):
        session.find("x")
    assert (first.folder.stat().st_mode & 0o777) == 0o700


def test_a_data_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "file"))
    with pytest.raises(RecordError, match="cannot make a session folder"):
        session.create()


def test_a_full_disk_ends_the_run_and_puts_the_files_back(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = session.create()
    write, room = os.write, [6_000]

    def full(file: int, data: bytes) -> int:
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data)

    options = Options(session=record, plan=False)
    stream = run(double_task(workdir), ScriptedModel(REPLIES), open_checker(), options)
    stream = recorded(stream, record)
    next(event for event in stream if event.type == "edited")
    assert (workdir / "solution.py").exists()
    monkeypatch.setattr("agent.trajectory.os.write", full)
    with pytest.raises(RecordError, match="No space left on device"):
        list(stream)
    assert not (workdir / "solution.py").exists()
    check_atif(read_trajectory(record))
