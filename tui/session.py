"""What the app runs: a loaded model, a checker, the agent's loop for one task after another. No screen.

All methods that load or run block and hold Python's lock for long: the app has its `Runner` in a process of
its own (`tui.worker`) and asks it in threads. Heavy imports (torch by way of `model.load`, the sandbox by way
of `verify.checker`) happen inside them, never when this module is imported.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, get_args

from agent.errors import AgentError, TaskError
from model.errors import RequestError
from model.request import Decode, ModelInfo

if TYPE_CHECKING:
    from agent.events import Event
    from agent.task import Task
    from model.request import Model

_FLAGS = ("seed", "max_steps", "max_repairs", "max_tokens", "timeout", "keep")
DECODES: tuple[Decode, ...] = get_args(Decode)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is started with. None: the task's own, else the agent's default."""

    model: str
    decode: Decode
    workdir: Path
    seed: int | None = None
    max_steps: int | None = None
    max_repairs: int | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    keep: bool | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """One line for a person: what is wrong and how to mend it."""

    message: str


def describe(error: Exception) -> Failure:
    """Our own errors say what to do; anything else is a bug: its traceback goes to descriptor 2 (the log)."""
    from model.errors import ModelError

    if isinstance(error, AgentError | ModelError):
        return Failure(str(error))
    os.write(2, "".join(traceback.format_exception(error)).encode("utf-8", "replace"))
    return Failure(
        f"{type(error).__name__}: {error}. This is a bug; the traceback is in the log (docs/tui.md)."
    )


class WorkerError(AgentError):
    """What went wrong in the process that loads and runs, in one line."""

    exit_code = 4


class TaskRunner(Protocol):
    """What the app needs; `Runner` is the real one."""

    settings: Settings

    @property
    def ended(self) -> str: ...

    def load(self, model: str) -> ModelInfo: ...

    def run(self, text: str, cancel: threading.Event) -> Iterator[Event]: ...

    def run_file(self, path: Path, cancel: threading.Event) -> Iterator[Event]: ...


class Runner:
    """The real thing. Used by one thread at a time."""

    ended = ""  # it lives as long as the app

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._model: Model | None = None
        self._name = ""  # under which it was asked for

    def load(self, model: str) -> ModelInfo:
        """Load `model` and keep it for all runs that follow; the old one stays when this fails.

        Raises model.errors.ModelError.
        """
        from model.load import load

        loaded = load(model)
        self._model, self._name = loaded, model
        return loaded.info

    def run(self, text: str, cancel: threading.Event) -> Iterator[Event]:
        """Run a task typed by a person. Raises agent.errors.TaskError before the first event."""
        from agent.task import Task

        workdir = self.settings.workdir
        if not workdir.is_dir():
            raise TaskError(f"{workdir} is gone: make it again, or open another: agent --workdir FOLDER")
        return self._run(Task.from_text(text, workdir), cancel)

    def run_file(self, path: Path, cancel: threading.Event) -> Iterator[Event]:
        """Run a task file; its workdir is the file's own folder, as with `agent run`."""
        from agent.task import load_task

        path = self.settings.workdir / path
        return self._run(load_task(path), cancel, path)

    def _run(self, task: Task, cancel: threading.Event, path: Path | None = None) -> Iterator[Event]:
        """Run and record a task. What nothing can verify is kept: its verdict says so."""
        from agent.loop import run
        from agent.options import Options
        from agent.session import create, save_call
        from agent.trajectory import recorded
        from verify.checker import open_checker

        if self._model is None:
            raise RequestError("no model is loaded")
        settings = self.settings
        flags = {name: getattr(settings, name) for name in _FLAGS}
        if flags["keep"] is None and not task.has_tests:
            flags["keep"] = True
        session = create()
        if path is not None:
            save_call(session, path, self._name, None, None, {"decode": settings.decode, **flags})
        options = Options.merge(task.limits, decode=settings.decode, session=session, **flags)
        with open_checker() as checker:
            yield from recorded(run(task, self._model, checker, options, cancel), session)
