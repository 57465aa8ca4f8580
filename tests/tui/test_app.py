"""The app from the keyboard to the files: scripted model, real loop, real sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.conftest import (
    PLAN,
    RIGHT,
    TASK,
    WRONG,
    HeldRunner,
    finished,
    held,
    ready,
    send,
    shown,
    state,
    until,
)
from tui.app import TriheadApp
from tui.screens.help import HelpScreen
from tui.widgets.block import Block
from tui.widgets.diff import DiffBlock
from tui.widgets.notes import DoneBlock
from tui.widgets.panel import RunPanel
from tui.widgets.verdict import VerdictBlock

MakeApp = Callable[..., TriheadApp]
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


@SIZES
async def test_a_task_is_planned_written_failed_repaired_and_solved(
    make_app: MakeApp, workdir: Path, size: tuple[int, int]
) -> None:
    app = make_app(PLAN, WRONG, RIGHT)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await send(pilot, TASK)
        await finished(pilot)
        text = shown(pilot)
        assert "1. Lower-case the title." in text
        assert "Failed  1 of 2 cases" in text
        assert "✗ ✓" in text
        assert "big_bad_wolf" in text
        assert "Repair 1" in text
        assert "Passed  2 of 2 cases  (again, in a fresh sandbox)" in text
        assert "Solved" in app.query_one(DoneBlock).heading.title
        assert "tokens per forward" in text
        assert len(app.query(DiffBlock)) == 2
        assert [block.has_class("-good") for block in app.query(VerdictBlock)] == [False, True, True]
        assert app.query_one(RunPanel).display == (size[0] == 120)
    assert 'return "-".join(words)' in (workdir / "solution.py").read_text()


@pytest.mark.parametrize("decode", ["diffusion", "verified"])
async def test_block_decoding_shows_the_same_result(make_app: MakeApp, workdir: Path, decode: str) -> None:
    app = make_app(PLAN, RIGHT, decode=decode)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, TASK)
        await finished(pilot)
        assert "Passed  2 of 2 cases" in shown(pilot)
    assert (workdir / "solution.py").is_file()


async def test_escape_interrupts_within_one_step_and_puts_files_back(
    make_app: MakeApp, workdir: Path
) -> None:
    app = make_app(PLAN, RIGHT, PLAN, RIGHT, runner=HeldRunner)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, TASK)
        await held(pilot)
        await pilot.press("escape")
        await finished(pilot)
        text = shown(pilot)
        assert "Interrupted" in text
        assert "interrupted" in text  # the call itself says so
        assert "Passed" not in text
        assert list(workdir.iterdir()) == []
        await send(pilot, TASK)  # the session goes on
        await until(pilot, lambda: state(pilot) == "running")
        await pilot.press("ctrl+c")
        await finished(pilot, 2)
    sessions = sorted((workdir.parent / "home" / "sessions").iterdir())
    assert len(sessions) == 2
    rows = [json.loads(line) for line in (sessions[0] / "events.jsonl").read_text().splitlines()]
    assert (rows[-1]["type"], rows[-1]["status"]) == ("done", "cancelled")


async def test_quitting_in_mid_run_stops_it_first(make_app: MakeApp, workdir: Path) -> None:
    app = make_app(PLAN, RIGHT, runner=HeldRunner)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, TASK)
        await held(pilot)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app.return_code is not None or not app.is_running)
    assert app.return_value == 130
    (session,) = (workdir.parent / "home" / "sessions").iterdir()
    assert '"status": "cancelled"' in (session / "events.jsonl").read_text().splitlines()[-1]


async def test_a_task_without_tests_is_kept_and_called_unverified(make_app: MakeApp, workdir: Path) -> None:
    answer = "```python\ndef hello():\n    return 'hello'\n```"
    app = make_app(PLAN, answer)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, "Say hello in Python.")
        await finished(pilot)
        text = shown(pilot)
        assert "No tests were given: nothing was verified." in text
        assert "Written, not verified" in text
        assert "Passed" not in text
        assert "Solved" not in text
    assert "hello" in (workdir / "solution.py").read_text()


async def test_a_task_file_runs_in_its_own_folder(make_app: MakeApp, workdir: Path) -> None:
    folder = workdir / "tasks"
    folder.mkdir()
    front = "files: [slug.py]\nentry: slugify\ncases:\n  - {args: [A b], expected: a-b}"
    (folder / "slug.md").write_text(f"---\n{front}\n---\n{TASK}")
    app = make_app(PLAN, RIGHT)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await send(pilot, "/run tasks/slug.md")
        await finished(pilot)
        assert "slug.py  created" in shown(pilot)
    assert (folder / "slug.py").is_file()


async def test_tasks_typed_ahead_wait_their_turn(make_app: MakeApp) -> None:
    app = make_app(PLAN, RIGHT, PLAN, RIGHT)
    async with app.run_test(size=(80, 24)) as pilot:
        await send(pilot, TASK)
        await send(pilot, TASK)
        await finished(pilot, 2)
        assert shown(pilot).count("Solved") == 2


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("/run nowhere.md", "no such task file"),
        ("/modle x", "did you mean /model?"),
        ("/decode sideways", "There is no decode mode sideways"),
        ("/model scripted:/nowhere.json", "cannot read the script"),
        ("/model qwen2.5-coder-0.5b", "model pull qwen2.5-coder-0.5b"),
    ],
)
async def test_errors_are_one_line_that_says_what_to_do(make_app: MakeApp, typed: str, message: str) -> None:
    app = make_app(PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, typed)
        await until(pilot, lambda: message in shown(pilot) and state(pilot) == "ready")


async def test_without_a_model_the_app_stays_and_says_how_to_get_one(make_app: MakeApp) -> None:
    app = make_app(model="qwen2.5-coder-0.5b")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: state(pilot) == "error")
        assert "model pull qwen2.5-coder-0.5b" in shown(pilot)
        await send(pilot, TASK)
        await until(pilot, lambda: "No model is loaded" in shown(pilot))


async def test_a_model_that_gives_up_ends_the_run_not_the_app(make_app: MakeApp) -> None:
    app = make_app("chat", "more chat", "and more", "still no code")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, "Say hello in Python.")
        await finished(pilot)
        text = shown(pilot)
        assert "No usable edit in the answer" in text
        assert "Error" in app.query_one(DoneBlock).heading.title


async def test_hostile_output_stays_text(make_app: MakeApp) -> None:
    attack = "```python\nx = '[bold red]hi[/] \x1b[31m \x1b]0;owned\x07 \u202e'\n```"
    app = make_app("[link=http://evil]plan[/link] \x1b[2J", attack)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, "[bold]Say[/bold] hello \x1b[31m in Python")
        await finished(pilot)
        text = shown(pilot)
        assert "[bold]Say[/bold]" in text
        assert "[bold red]hi[/]" in text
        assert "[link=http://evil]plan[/link]" in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\x1b]0;owned" not in app.export_screenshot()


async def test_keys_help_history_completion_and_folding(make_app: MakeApp) -> None:
    app = make_app(PLAN, RIGHT)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        for key in ("f1", "question_mark"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, HelpScreen))
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, HelpScreen))
        area = app.main.prompt.area
        await pilot.press(*"/de", "tab")
        assert area.text == "/decode "
        await pilot.press(*"verified", "enter")
        assert app.main.info.info.decode == "verified"
        await pilot.press("up")
        assert area.text == "/decode verified"
        await pilot.press("down")
        assert area.text == ""
        await pilot.press(*"why", "question_mark", "ctrl+j", *"so")
        assert area.text == "why?\nso"
        area.clear()
        await send(pilot, TASK)
        await finished(pilot)
        foldable = [block for block in app.query(Block) if block.folded is not None]
        await pilot.press("ctrl+o")
        assert all(block.folded for block in foldable)
        await pilot.press("ctrl+o")
        assert not any(block.folded for block in foldable)
        heading = foldable[0].heading
        heading.focus()
        await pilot.press("enter")
        assert heading.folded
        area.focus()
        await send(pilot, "/clear")
        await until(pilot, lambda: "Solved" not in shown(pilot))


async def test_ctrl_c_once_warns_twice_quits(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+c")
        assert app.is_running
        assert len(app._notifications) == 1
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.is_running or app.return_value is not None)
    assert app.return_value == 0


async def test_the_palette_offers_models_and_modes(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert {"Help", "Interrupt", "Decode: diffusion", "Model: qwen2.5-coder-0.5b", "Theme"} <= set(titles)
        await pilot.press("ctrl+p")
        await pilot.press(*"decode: ver")
        await pilot.pause(0.5)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: app.main.info.info.decode == "verified")
