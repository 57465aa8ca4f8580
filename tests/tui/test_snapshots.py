"""Pictures of the app at 80x24 and 120x40, drawn by the real loop; `--snapshot-update` renews them.

What differs between runs is made the same (`SteadyRunner`), the work folder has a fixed name and the clock
stands still. The pictures hold text and colours, no fonts, so that they do not depend on the machine.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from textual.pilot import Pilot

from agent.events import Decoded, Event
from agent.session import Session
from tests.tui.conftest import (
    PLAN,
    RIGHT,
    TASK,
    WRONG,
    HeldRunner,
    SteadyRunner,
    finished,
    held,
    ready,
    send,
    state,
    until,
)
from tui.app import TriheadApp
from tui.past import PastRun
from tui.screens.sessions import SessionsScreen

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
MakeApp = Callable[..., TriheadApp]


class SnapCompare(Protocol):
    def __call__(
        self,
        app: TriheadApp,
        *,
        terminal_size: tuple[int, int],
        run_before: Callable[[Pilot[int]], Awaitable[None]],
    ) -> bool: ...


@pytest.fixture
def make_steady(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> MakeApp:
    def make(*replies: str, **settings: object) -> TriheadApp:
        app = make_app(*replies, **{"runner": SteadyRunner, **settings})
        app._clock = lambda: 100.0
        app._state_since = 100.0
        return app

    # The cursor and the folder's name are the only things on the screen that the runner does not make.
    monkeypatch.setattr("tui.widgets.prompt.PromptArea._toggle_cursor_blink_visible", lambda area: None)
    monkeypatch.setattr("tui.widgets.info.home_path", lambda path: f"~/{Path(path).name}")
    return make


async def run_task(pilot: Pilot[int]) -> None:
    await ready(pilot)
    await send(pilot, TASK)
    await finished(pilot)


async def until_held(pilot: Pilot[int]) -> None:
    await ready(pilot)
    await send(pilot, TASK)
    await held(pilot)


class Drafting(SteadyRunner):
    """Shows, as `verified` does, drafts of what the next step commits; the third token of each is wrong."""

    def _run(self, task: object, cancel: threading.Event, path: Path | None = None) -> Iterator[Event]:
        last: Decoded | None = None
        for event in super()._run(task, cancel, path):
            if last is not None:
                after = event.step.committed if isinstance(event, Decoded) else ()
                wrong = [dataclasses.replace(token, text="pass") for token in after[2:3]]
                draft = (*after[:2], *wrong, *after[3:])
                yield dataclasses.replace(last, step=dataclasses.replace(last.step, draft=draft))
            last = event if isinstance(event, Decoded) else None
            if last is None:
                yield event


class HeldDrafting(HeldRunner, Drafting):
    call, hold = 2, 4


@SIZES
def test_ready(snap_compare: SnapCompare, make_steady: MakeApp, size: tuple[int, int]) -> None:
    assert snap_compare(make_steady(), terminal_size=size, run_before=ready)


@SIZES
def test_repaired_and_solved(snap_compare: SnapCompare, make_steady: MakeApp, size: tuple[int, int]) -> None:
    app = make_steady(PLAN, WRONG, RIGHT)
    assert snap_compare(app, terminal_size=size, run_before=run_task)


@SIZES
def test_denoising(snap_compare: SnapCompare, make_steady: MakeApp, size: tuple[int, int]) -> None:
    """A diffusion decode, stopped in the middle of a block: tokens out of order between masked cells."""
    app = make_steady(PLAN, RIGHT, decode="diffusion", runner=HeldRunner)
    assert snap_compare(app, terminal_size=size, run_before=until_held)


def test_denoising_light(snap_compare: SnapCompare, make_steady: MakeApp) -> None:
    app = make_steady(PLAN, RIGHT, decode="diffusion", runner=HeldRunner)
    app.theme = "trihead-light"
    assert snap_compare(app, terminal_size=(80, 24), run_before=until_held)


@pytest.mark.parametrize("look", ["dark", "light", "no-colour"])
def test_verified(
    snap_compare: SnapCompare, make_steady: MakeApp, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    """Drafts, drafts that were kept, and tokens of the AR head's own are told apart in every look."""
    if look == "no-colour":
        monkeypatch.setenv("NO_COLOR", "1")
    app = make_steady(PLAN, RIGHT, decode="verified", runner=HeldDrafting)
    app.theme = "trihead-light" if look == "light" else "trihead-dark"
    assert snap_compare(app, terminal_size=(80, 24), run_before=until_held)


@SIZES
def test_sessions(
    snap_compare: SnapCompare,
    make_steady: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
) -> None:
    def runs() -> list[PastRun]:
        folder = Path("sessions")
        names = [f"20261124-12000{number}-abc123" for number in range(4)]
        statuses = ["unfinished", "cancelled", "failed", "solved"]
        return [
            PastRun(Session(name, folder / name), TASK, "", status, 87, 1.5)
            for name, status in zip(names, statuses, strict=True)
        ]

    async def open_sessions(pilot: Pilot[int]) -> None:
        await ready(pilot)
        await send(pilot, "/sessions")
        await until(pilot, lambda: isinstance(pilot.app.screen, SessionsScreen))

    monkeypatch.setattr("tui.past.past_runs", runs)
    assert snap_compare(make_steady(), terminal_size=size, run_before=open_sessions)


@SIZES
def test_help(snap_compare: SnapCompare, make_steady: MakeApp, size: tuple[int, int]) -> None:
    async def open_help(pilot: Pilot[int]) -> None:
        await ready(pilot)
        await pilot.press("f1")

    assert snap_compare(make_steady(), terminal_size=size, run_before=open_help)


@SIZES
def test_no_model(snap_compare: SnapCompare, make_steady: MakeApp, size: tuple[int, int]) -> None:
    async def failed(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: state(pilot) == "error")
        await pilot.press("slash")

    assert snap_compare(make_steady(model="qwen2.5-coder-0.5b"), terminal_size=size, run_before=failed)


def test_light_theme(snap_compare: SnapCompare, make_steady: MakeApp) -> None:
    app = make_steady(PLAN, RIGHT)
    app.theme = "trihead-light"
    assert snap_compare(app, terminal_size=(120, 40), run_before=run_task)


def test_no_colour(snap_compare: SnapCompare, make_steady: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR: every state is told by a sign or a word."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(make_steady(PLAN, WRONG, RIGHT), terminal_size=(80, 24), run_before=run_task)
