"""The app with the scripted model, the real loop and the real sandbox."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from agent.events import Decoded, Done, Event, ModelAnswered, Started, Verified
from tui.app import TriheadApp
from tui.session import Runner, Settings

TASK = """Write the body:
```python
def slugify(title: str) -> str:
    '''The words of the title, lower-case, joined by dashes.'''
```
- slugify('Big Bad Wolf') == 'big-bad-wolf'
- slugify('') == ''
"""
PLAN = " Lower-case the title.\n2. Split it into words.\n3. Join the words with dashes."
WRONG = '\n    words = title.lower().split()\n    return "_".join(words)\n'
RIGHT = '\n    words = title.lower().split()\n    return "-".join(words)\n'
SESSION = "20261124-120000-abc123"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def make_app(tmp_path: Path, workdir: Path) -> Iterator[Callable[..., TriheadApp]]:
    """An app whose model gives the replies in order. A run that is held is let go at the end: its thread
    would keep the interpreter from ending."""
    made: list[TriheadApp] = []

    def make(*replies: str, runner: type[Runner] = Runner, **settings: object) -> TriheadApp:
        script = tmp_path / "script.json"
        script.write_text(json.dumps(list(replies) or ["unused"]))
        values = {"model": f"scripted:{script}", "decode": "ar", "workdir": workdir, **settings}
        made.append(TriheadApp(runner(Settings(**values)), live=True))  # type: ignore[arg-type]  # checked there
        return made[-1]

    yield make
    for app in made:
        app.jobs.stop()


async def until(pilot: Pilot[int], condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until `condition` holds; the bound only keeps a broken test from hanging."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        await asyncio.sleep(0.02)
    await pilot.pause()


async def send(pilot: Pilot[int], text: str) -> None:
    """Put `text` into the prompt as a paste would, and press Enter."""
    app = pilot.app
    assert isinstance(app, TriheadApp)
    app.main.prompt.area.insert(text)
    await pilot.press("enter")


async def ready(pilot: Pilot[int]) -> None:
    await until(pilot, lambda: state(pilot) == "ready")


async def finished(pilot: Pilot[int], runs: int = 1) -> None:
    await until(
        pilot, lambda: len(pilot.app.screen_stack[0].query(".-done")) == runs and state(pilot) == "ready"
    )


async def held(pilot: Pilot[int]) -> None:
    """Wait until a `HeldRunner` pauses and everything before the pause is shown."""
    app = pilot.app
    assert isinstance(app, TriheadApp)
    runner = app.runner
    assert isinstance(runner, HeldRunner)
    await until(pilot, runner.held.is_set)
    await until(pilot, lambda: f"step {runner.hold}" in shown(pilot))


def state(pilot: Pilot[int]) -> str:
    app = pilot.app
    assert isinstance(app, TriheadApp)
    return app.main.info.info.state


def shown(pilot: Pilot[int]) -> str:
    """Everything in the transcript, folded or not, as text."""
    from textual.widget import Widget

    def text(widget: Widget) -> Iterator[str]:
        if not widget.children:
            yield str(widget.render())
        for child in widget.children:
            yield from text(child)

    app = pilot.app
    assert isinstance(app, TriheadApp)
    return "\n".join(text(app.main.transcript))


class SteadyRunner(Runner):
    """The real runner; what differs from run to run (times, the session's id) is made the same."""

    def _run(self, task: object, cancel: threading.Event, path: Path | None = None) -> Iterator[Event]:
        for event in super()._run(task, cancel, path):  # type: ignore[arg-type]  # passed through
            yield steady(event)


def steady(event: Event) -> Event:
    match event:
        case Started():
            return dataclasses.replace(event, session_id=SESSION)
        case Decoded():
            return dataclasses.replace(event, step=dataclasses.replace(event.step, ms=80.0))
        case ModelAnswered():
            generation = dataclasses.replace(event.generation, wall_s=0.08 * event.generation.forwards)
            return dataclasses.replace(event, generation=generation)
        case Verified():
            return dataclasses.replace(event, verdict=dataclasses.replace(event.verdict, wall_ms=21.0))
        case Done():
            return dataclasses.replace(event, session_id=SESSION, wall_s=8.5)
    return event


class HeldRunner(SteadyRunner):
    """A steady runner that pauses before decoding step `hold` of the call `call`, until it is cancelled."""

    call, hold = 2, 9

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.held = threading.Event()

    def _run(self, task: object, cancel: threading.Event, path: Path | None = None) -> Iterator[Event]:
        for event in super()._run(task, cancel, path):
            if isinstance(event, Decoded) and (event.call, event.step.index) == (self.call, self.hold):
                self.held.set()
                cancel.wait()
            yield event
