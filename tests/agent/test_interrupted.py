"""`agent run` that is interrupted: Ctrl-C, and a reader of its output that goes away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from agent import session
from tests.agent.conftest import GOOD


def command_of(script: str) -> list[str]:
    begin = [sys.executable, "-m", "agent.cli", "run", "task.md", "--no-plan"]
    return [*begin, "--model", f"scripted:{script}.json"]


def test_ctrl_c_ends_cleanly(task_folder: Path) -> None:
    (task_folder / "twice.py").write_text("# mine\n")
    (task_folder / "long.json").write_text(json.dumps(["    return x - 1\n", "    y = 1\n" * 30_000]))
    command = [*command_of("long"), "--max-tokens", "100000", "--output", "stream-json"]
    process = subprocess.Popen(
        command, cwd=task_folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    decoded = 0
    rows = []
    for line in process.stdout:
        rows.append(json.loads(line))
        decoded += rows[-1]["type"] == "decoded" and rows[-1]["phase"] == "repair"
        if decoded == 20:
            process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert process.stderr
    assert process.stderr.read() == ""
    process.stderr.close()
    process.stdout.close()
    assert (rows[-1]["type"], rows[-1]["status"], rows[-1]["exit_code"]) == ("done", "cancelled", 130)
    assert (task_folder / "twice.py").read_text() == "# mine\n"
    (record,) = session.sessions()
    document = json.loads(record.trajectory.read_text())
    assert document["extra"]["outcome"]["status"] == "cancelled"
    assert len(document["steps"][-1]["metrics"]["completion_token_ids"]) >= 20


def test_ctrl_c_at_a_terminal_reaches_the_whole_group_and_still_ends_cleanly(task_folder: Path) -> None:
    # A terminal sends SIGINT to every process of the group, the sandbox's included, here in mid-check.
    (task_folder / "hang.json").write_text(json.dumps(["    while True: pass\n", GOOD]))
    process = subprocess.Popen(
        [*command_of("hang"), "--output", "stream-json"],
        cwd=task_folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    rows = []
    for line in process.stdout:
        rows.append(json.loads(line))
        if rows[-1]["type"] == "edited":
            os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert process.stderr
    assert process.stderr.read() == ""
    process.stderr.close()
    process.stdout.close()
    assert (rows[-1]["status"], rows[-1]["exit_code"]) == ("cancelled", 130)
    assert not (task_folder / "twice.py").exists()


def test_a_reader_that_goes_away_ends_the_run_in_order(task_folder: Path) -> None:
    process = subprocess.Popen(
        command_of("wrong"), cwd=task_folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    assert process.wait() in (1, 130)
    assert process.stderr
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert not (task_folder / "twice.py").exists()
    (record,) = session.sessions()
    assert json.loads(record.trajectory.read_text())["extra"]["complete"]
