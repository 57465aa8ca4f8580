"""Runs of before, as the disk tells; undo and resume from the keyboard."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from agent.session import create, read_call, sessions
from tests.tui.conftest import PLAN, RIGHT, TASK, WRONG, finished, ready, send, shown, until
from tui.app import TriheadApp
from tui.past import PastRun, past_runs, undo
from tui.screens.sessions import SessionsScreen
from tui.session import Runner, Settings

MakeApp = Callable[..., TriheadApp]


def test_runs_are_listed_newest_first_whatever_became_of_them(tmp_path: Path, workdir: Path) -> None:
    (tmp_path / "s.json").write_text('["x", "y"]')
    runner = Runner(Settings("unused", "ar", workdir))
    runner.load(f"scripted:{tmp_path / 's.json'}")
    list(runner.run(TASK, threading.Event()))
    stream = runner.run("Write f(x).", threading.Event())
    next(stream)  # goes on still
    create().events.write_text("no JSON")
    damaged, unfinished, failed = past_runs()
    assert (damaged.status, unfinished.status, failed.status) == ("damaged", "unfinished", "error")
    assert (unfinished.task, unfinished.prompt) == ("Write f(x).", "Write f(x).")
    assert failed.workdir == str(workdir)
    assert failed.tokens > 0
    assert failed.when[:2] == "20"


def test_a_task_file_is_run_again_as_a_file(tmp_path: Path, workdir: Path) -> None:
    (tmp_path / "s.json").write_text('["x"]')
    (workdir / "t.md").write_text("Write f(x). f(1) == 2")
    runner = Runner(Settings("unused", "ar", workdir, max_repairs=1))
    runner.load(f"scripted:{tmp_path / 's.json'}")
    list(runner.run_file(Path("t.md"), threading.Event()))
    (run,) = past_runs()
    assert run.prompt == f"/run {workdir / 't.md'}"
    call = read_call(sessions()[0])  # what `agent sessions resume` calls `agent run` with
    assert (call["decode"], call["max_repairs"]) == ("ar", 1)


async def test_undo_puts_back_what_the_last_run_wrote(make_app: MakeApp, workdir: Path) -> None:
    app = make_app(PLAN, WRONG, RIGHT)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, "/undo")
        await until(pilot, lambda: "No task was run here yet" in shown(pilot))
        await send(pilot, TASK)
        await finished(pilot)
        assert (workdir / "solution.py").is_file()
        await send(pilot, "/undo")
        await until(pilot, lambda: "Put back as it was: solution.py" in shown(pilot))
        assert list(workdir.iterdir()) == []
        await send(pilot, "/undo")
        await until(pilot, lambda: "Nothing to put back" in shown(pilot))
        await send(pilot, "/undo 1999")
        await until(pilot, lambda: "no session has an id" in shown(pilot))


async def test_a_run_of_before_comes_back_into_the_prompt_or_is_undone(
    make_app: MakeApp, workdir: Path
) -> None:
    app = make_app(PLAN, RIGHT)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, "/sessions")
        await until(pilot, lambda: isinstance(app.screen, SessionsScreen))
        await pilot.press("enter", "u", "escape")  # there is none yet
        await send(pilot, TASK)
        await finished(pilot)
        await send(pilot, "/sessions")
        await until(pilot, lambda: isinstance(app.screen, SessionsScreen))
        await pilot.press("enter")
        await until(pilot, lambda: app.main.prompt.area.text == TASK.strip())
        app.main.prompt.area.clear()
        await send(pilot, "/sessions")
        await until(pilot, lambda: isinstance(app.screen, SessionsScreen))
        await pilot.press("u")
        await until(pilot, lambda: "Put back as it was: solution.py" in shown(pilot))
    assert list(workdir.iterdir()) == []


async def test_a_run_of_another_folder_says_where_it_worked(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        run = PastRun(create(), task="Write f(x).", workdir=str(tmp_path))
        app.commands._picked(("again", run))
        await until(pilot, lambda: f"{tmp_path}: agent --workdir opens it" in shown(pilot).replace("\n", ""))


def test_undo_leaves_a_file_that_was_edited_since(tmp_path: Path, workdir: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps([PLAN, RIGHT]))
    runner = Runner(Settings("unused", "ar", workdir))
    runner.load(f"scripted:{tmp_path / 's.json'}")
    list(runner.run(TASK, threading.Event()))
    (workdir / "solution.py").write_text("mine")
    assert undo(past_runs()[0].session.id) == ()
    assert (workdir / "solution.py").read_text() == "mine"
