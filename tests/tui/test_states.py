"""What the app shows while it waits, when its model's process dies, and while the screen changes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.layout import Layout
from textual.widget import Widget
from textual.widgets import Static

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
from tui.history import PromptHistory
from tui.keys import HELP
from tui.screens.help import HelpText
from tui.session import Settings
from tui.widgets.call import CallBlock
from tui.widgets.info import InfoBar
from tui.widgets.notes import TASK_LINES, TaskBlock
from tui.widgets.transcript import Transcript
from tui.worker import Worker

MakeApp = Callable[..., TriheadApp]


@pytest.fixture
def own_process(tmp_path: Path, workdir: Path) -> Iterator[TriheadApp]:
    """The app as it is started: with a process for the model, which is held in its first infill."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps([PLAN, WRONG, RIGHT]))
    worker = Worker(Settings(f"scripted:{script}", "ar", workdir), HeldRunner)
    worker.start()
    yield TriheadApp(worker, live=True)
    worker.close()


def kill(app: TriheadApp) -> None:
    assert isinstance(app.runner, Worker)
    assert app.runner._child is not None
    assert app.runner._child.process.pid is not None
    os.kill(app.runner._child.process.pid, signal.SIGKILL)


async def test_a_process_that_dies_while_idle_is_noticed_and_the_next_task_starts_another(
    own_process: TriheadApp,
) -> None:
    app = own_process
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        kill(app)
        await until(pilot, lambda: state(pilot) == "ended")
        assert "The process of the model ended" in shown(pilot)
        assert "signal 9, as when memory runs out. The next task starts it again." in shown(pilot)
        await send(pilot, TASK)
        await until(pilot, lambda: state(pilot) == "loading")
        await until(pilot, lambda: state(pilot) == "running")
        await pilot.press("escape")
        await finished(pilot)


async def test_a_process_that_dies_in_a_run_ends_the_run_and_takes_back_what_waits(
    own_process: TriheadApp, workdir: Path
) -> None:
    app = own_process
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, TASK)
        await until(pilot, lambda: f"step {HeldRunner.hold}" in shown(pilot))
        await send(pilot, "Write g(x). g(1) == 2")
        kill(app)
        await until(pilot, lambda: state(pilot) == "ended")
        text = shown(pilot)
        assert "The run broke off" in text
        assert "What was typed has not been run" in text
        assert not any(call.is_live for call in app.query(CallBlock))
        assert f"stopped at step {HeldRunner.hold}" in text
    assert list(workdir.iterdir()) == []


async def test_tasks_that_wait_are_shown_and_escape_takes_them_back(make_app: MakeApp) -> None:
    app = make_app(PLAN, RIGHT, runner=HeldRunner)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, TASK)
        await held(pilot)
        for number in range(5):
            await send(pilot, f"Write [bold]f{number}[/](x).")
        queue = app.main.prompt.query_one("#queue", Static)
        await until(pilot, lambda: "… 3 more" in str(queue.render()))
        assert "waits  1. Write [bold]f0[/](x)." in str(queue.render())
        await pilot.press("escape")
        await finished(pilot)
        assert not queue.display
        assert "Up brings it back." in shown(pilot)
        await pilot.press("up")
        assert app.main.prompt.area.text == "Write [bold]f4[/](x)."


async def test_a_new_block_is_never_laid_out_before_it_can_be_painted(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Textual counts a widget that is not mounted yet, and paints nothing in its place: a blank screen."""
    blank: list[Widget] = []

    def look(transcript: Transcript, layout: Layout) -> None:
        blank.extend(child for child in transcript.displayed_children if not child.is_mounted)

    monkeypatch.setattr(Transcript, "pre_layout", look)
    app = make_app(PLAN, WRONG, RIGHT)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, TASK)
        await finished(pilot)
        assert all(child.display for child in app.main.transcript.children)
    assert blank == []


async def test_a_long_paste_is_one_task_shown_by_its_beginning(make_app: MakeApp) -> None:
    app = make_app(PLAN, RIGHT)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, TASK + "\n".join(f"note {number}" for number in range(1000)))
        await finished(pilot)
        task = app.query_one(TaskBlock)
        assert task.size.height == TASK_LINES
        assert str(task.render()).endswith("more lines")
        assert "Solved" in shown(pilot)


@pytest.mark.parametrize("width", [30, 60, 80, 120])
async def test_the_info_bar_leaves_out_what_does_not_fit(make_app: MakeApp, width: int) -> None:
    app = make_app(model="scripted:", decode="verified")
    async with app.run_test(size=(width, 20)) as pilot:
        await until(pilot, lambda: state(pilot) == "error")
        row = app.query_one(InfoBar).render()
        parts = [part.strip() for part in str(row).split("│")]
        assert parts[0] == "! no model"
        assert set(parts[1:2]) <= {"scripted:"}
        assert len(str(row)) <= width


async def test_a_model_without_a_device_names_none(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "none" not in str(app.query_one(InfoBar).render())


async def test_the_first_prompt_ever_is_remembered(make_app: MakeApp, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    app = TriheadApp(make_app().runner, history=PromptHistory(path))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await send(pilot, "/decode")
    assert PromptHistory(path).previous("") == "/decode"


async def test_a_folder_that_is_gone_is_one_line_that_says_what_to_do(
    make_app: MakeApp, workdir: Path
) -> None:
    app = make_app(PLAN)
    async with app.run_test(size=(120, 24)) as pilot:
        await ready(pilot)
        workdir.rmdir()
        await send(pilot, TASK)
        await until(pilot, lambda: "is gone: make it again" in shown(pilot) and state(pilot) == "ready")
        assert "Not run" in shown(pilot)


async def test_without_a_sandbox_the_run_says_how_to_get_one(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no docker either
    monkeypatch.setenv("TRIHEAD_BWRAP", "/nowhere/bwrap")
    app = make_app(PLAN)
    async with app.run_test(size=(120, 24)) as pilot:
        await ready(pilot)
        await send(pilot, TASK)
        await finished(pilot)
        assert "TRIHEAD_BWRAP=/nowhere/bwrap is not an executable; unset it" in shown(pilot)
        assert "0 model calls" in shown(pilot)


async def test_the_panels_key_is_offered_where_the_panel_has_room(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "ctrl+b" not in app.screen.active_bindings
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "ctrl+b" in app.screen.active_bindings)
        await pilot.press("ctrl+b")
        assert not app.main.panel.display
        await pilot.press("ctrl+b")
        assert app.main.panel.display


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_the_rows_of_the_help_hang_under_their_first(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press("f1")
        await until(
            pilot, lambda: bool(app.screen.query(HelpText)) and app.screen.query_one(HelpText).size.width > 0
        )
        text = app.screen.query_one(HelpText)
        rows = str(text.render()).splitlines()
        assert max(map(len, rows)) <= text.size.width
        assert text.size.height == len(rows)


async def test_the_help_names_every_key_that_the_app_binds(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        named = "".join(key for key, _ in HELP).lower().replace(" ", "")
        bound = {name.replace("escape", "esc") for name in app.screen.active_bindings}
        shown_keys = {
            "esc",
            "f1",
            "ctrl+p",
            "ctrl+o",
            "ctrl+b",
            "ctrl+q",
            "ctrl+c",
            "ctrl+j",
            "tab",
            "up",
            "down",
        }
        assert shown_keys <= bound
        assert all(key in named for key in shown_keys)
