"""The command line as a person or a script uses it: outputs, exit codes, one clear line for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.output import RESULT_KEYS
from tests.agent.conftest import GOOD

IMPORTED = """
import sys
from agent.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = {"torch", "transformers", "textual", "vllm", "pydantic", "rich", "jinja2", "yaml"}
light = {"model.errors", "verify.commandline", "verify.distribution"}
ours = {name for name in sys.modules if name.startswith(("model.", "verify."))}
print(sorted(heavy & set(sys.modules) | ours - light))
"""


def agent(folder: Path, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli", *args]
    settings = {**os.environ, **(env or {})}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=settings, timeout=120, check=False
    )


def run(folder: Path, script: str, *args: str) -> subprocess.CompletedProcess[str]:
    return agent(folder, "run", "task.md", "--model", f"scripted:{script}.json", "--no-plan", *args)


@pytest.mark.parametrize("args", [(), ("run",), ("trajectories",), ("undo",)])
def test_help_is_light(args: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", IMPORTED, *args, "--help"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.startswith("Usage: ")
    assert out.endswith("\n[]\n")
    if not args:
        assert all(name in out for name in ("run", "trajectories", "undo"))


def test_output_json_is_one_object(task_folder: Path) -> None:
    done = run(task_folder, "good", "--output", "json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == set(RESULT_KEYS)
    assert (result["status"], result["files_changed"], result["steps"]) == ("solved", ["twice.py"], 1)
    assert result["verdict"]["status"] == "passed"
    assert json.loads(Path(result["trajectory"]).read_text())["session_id"] == result["session_id"]
    assert (task_folder / "twice.py").read_text().endswith(GOOD)


def test_output_stream_json_is_the_event_stream(task_folder: Path) -> None:
    done = run(task_folder, "good", "--output", "stream-json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (rows[0]["type"], rows[-1]["type"], rows[-1]["exit_code"]) == ("started", "done", 0)


def test_text_output_in_a_pipe_is_plain(task_folder: Path) -> None:
    done = run(task_folder, "good")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    for part in ("return 2 * x", "tests: passed 1/1", "fresh sandbox", "Solved", "trajectory", "Next:"):
        assert part in done.stdout


def test_model_output_cannot_drive_the_terminal(task_folder: Path) -> None:
    evil = "    # \x1b]0;owned\x07\x1b[2J[bold red]x[/]\n    return x - 1\n"
    (task_folder / "evil.json").write_text(json.dumps([evil]))
    done = run(task_folder, "evil", "--max-repairs", "0")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "[bold red]x[/]" in done.stdout


@pytest.mark.parametrize(
    ("script", "flags", "code", "status"),
    [
        ("wrong", ("--max-repairs", "1"), 1, "failed"),
        ("wrong", ("--max-steps", "2"), 3, "limit"),
        ("wrong", ("--max-tokens", "12"), 3, "limit"),
        ("wrong", ("--timeout", "0.000001"), 3, "limit"),
        ("prose", (), 4, "error"),
    ],
)
def test_exit_codes(task_folder: Path, script: str, flags: tuple[str, ...], code: int, status: str) -> None:
    done = run(task_folder, script, "--output", "json", *flags)
    result = json.loads(done.stdout)
    assert (done.returncode, result["exit_code"], result["status"]) == (code, code, status)
    assert not (task_folder / "twice.py").exists()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("run", "none.md"), 2, "none.md: no such task file"),
        (("run", "binary.md"), 2, "not a text file"),
        (("run", "front.md"), 2, "did you mean 'files'?"),
        (("run", "tests.md"), 2, "test_none.py does not exist"),
        (("run", "task.md", "--workdir", "none"), 2, "no such folder to work on; make it first"),
        (("run", "task.md", "--workdir", "task.md"), 2, "the workdir is not a folder"),
        (("run", "task.md", "--model", ""), 4, "names no model: write a name"),
        (("run", "task.md", "--model", "openai:"), 4, "write openai:URL#MODEL"),
        (("run", "task.md", "--model", "qwen2.5-coder-1.5b"), 4, "model pull qwen2.5-coder-1.5b"),
        (("run", "task.md", "--model", "scripted:none.json"), 4, "none.json"),
        (("run", "task.md", "--test-cmd", "echo '"), 2, "no closing quotation"),
        (("trajectories", "show", "last"), 2, "no sessions yet"),
        (("trajectories", "export", "x"), 2, "no sessions yet"),
        (("undo",), 2, "no sessions yet"),
        ((), 2, "needs a terminal"),
        (("--model", "tiny", "undo"), 2, "--model before a command is for the terminal app"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    task_folder: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    (task_folder / "binary.md").write_bytes(b"\x00\xff\x89PNG")
    (task_folder / "front.md").write_text("---\nfile: [a.py]\n---\nDo.")
    (task_folder / "tests.md").write_text("---\ntests: [test_none.py]\n---\nDo.")
    done = agent(task_folder, *args)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    if args[:1] == ("run",):
        assert len(done.stderr.strip().splitlines()) == 1
        result = json.loads(agent(task_folder, *args, "--output", "json").stdout)
        assert (result["status"], result["exit_code"]) == ("error", code)
        assert message in result["error"]


def test_without_bubblewrap_nothing_is_judged(task_folder: Path) -> None:
    (task_folder / "empty").mkdir()
    done = agent(
        task_folder, "run", "task.md", "--model", "scripted:good.json", "--no-plan", "--output", "json",
        env={"PATH": str(task_folder / "empty"), "TRIHEAD_BWRAP": str(task_folder / "empty" / "bwrap")},
    )  # fmt: skip
    result = json.loads(done.stdout)
    assert (done.returncode, result["status"]) == (5, "error")
    assert result["error"]
    assert not (task_folder / "twice.py").exists()


def test_trajectories_and_undo(task_folder: Path) -> None:
    (task_folder / "twice.py").write_text("X = 1\n")
    assert run(task_folder, "good").returncode == 0
    assert (task_folder / "twice.py").read_text() != "X = 1\n"
    rows = json.loads(agent(task_folder, "trajectories", "list", "--json").stdout)
    assert [(r["status"], r["task"]) for r in rows] == [("solved", "work")]
    assert rows[0]["session_id"] in agent(task_folder, "trajectories", "list").stdout
    shown = agent(task_folder, "trajectories", "show", "last").stdout
    assert "return 2 * x" in shown
    assert "\x1b" not in shown
    exported = agent(task_folder, "trajectories", "export", "last", "--out", "t.json")
    assert exported.returncode == 0
    assert json.loads((task_folder / "t.json").read_text())["schema_version"] == "ATIF-v1.8"
    assert agent(task_folder, "trajectories", "export", "last", "--out", "no/t.json").returncode == 2
    assert "put back twice.py" in agent(task_folder, "undo").stdout
    assert (task_folder / "twice.py").read_text() == "X = 1\n"
    assert "nothing to put back" in agent(task_folder, "undo").stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("rnu", "task.md"), "No such command 'rnu'. Did you mean 'run'?"),
        (("run",), "Missing argument 'TASK.md'. See 'agent run --help'."),
        (("run", "task.md", "--timeout", "nan"), "nan is not a finite number"),
        (("finetune", "--tasks", "none.jsonl"), "'none.jsonl' does not exist"),
        (("finetune", "--epochs", "inf"), "inf is not a finite number"),
        (("finetune",), "there is nothing to learn from"),
    ],
)
def test_a_mistyped_call_is_one_line(task_folder: Path, args: tuple[str, ...], message: str) -> None:
    done = agent(task_folder, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
