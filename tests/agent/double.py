"""The task `double`, right and wrong answers to it, and a run of the loop on them."""

from __future__ import annotations

import threading
from pathlib import Path

from agent.events import Done, Event
from agent.loop import run
from agent.options import Options
from agent.scaffold import scaffold_in_text
from agent.task import Task
from model.scripted import ScriptedModel
from verify.checker import Checker
from verify.request import Case

STUB = '```python\ndef double(x: int) -> int:\n    """Twice x."""\n```'
GOOD, BAD, WORSE = "    return 2 * x\n", "    return x + 1\n", "    return x - 1\n"


def task(workdir: Path, **changes: object) -> Task:
    """Write `double`; its fields replaced by keyword arguments."""
    fields: dict[str, object] = {
        "text": f"Write it.\n{STUB}",
        "workdir": workdir,
        "cases": (Case(args=(2,), expected=4), Case(args=(5,), expected=10)),
        "entry": "double",
        "scaffold": scaffold_in_text(STUB),
    }
    return Task(**{**fields, **changes})  # type: ignore[arg-type]  # the fields are given by name


def go(
    work: Task, checker: Checker, *replies: str, cancel: threading.Event | None = None, **options: object
) -> tuple[list[Event], Done]:
    """All events of a run in which the model gives these replies."""
    settings = Options(**{"plan": False, **options})  # type: ignore[arg-type]  # the fields are given by name
    events = list(run(work, ScriptedModel(replies), checker, settings, cancel))
    done = events[-1]
    assert isinstance(done, Done)
    return events, done


def kinds(events: list[Event]) -> list[str]:
    """Types of the events, those of model calls left out."""
    return [e.type for e in events if e.type not in ("decoded", "model_called", "model_answered")]
