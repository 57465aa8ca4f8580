"""What goes on in threads: the model that loads, the run that goes on, and the inbox they put things into.

Nothing here touches the screen; the app takes the inbox's items out on its event loop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.events import Event
from model.request import ModelInfo
from tui.session import Failure, TaskRunner, describe
from tui.slash import is_command, parse


@dataclass(frozen=True, slots=True)
class Loaded:
    """The end of a load."""

    name: str
    outcome: ModelInfo | Failure


@dataclass(frozen=True, slots=True)
class Ended:
    """The run's thread is about to end; `failure` when the stream could not start or broke off."""

    failure: Failure | None


class Jobs:
    """One load or one run at a time."""

    def __init__(self, runner: TaskRunner) -> None:
        self.runner = runner
        self.inbox: deque[Event | Loaded | Ended] = deque()
        self._cancel: threading.Event | None = None

    @property
    def running(self) -> bool:
        """A run goes on, or is being stopped."""
        return self._cancel is not None

    def load(self, name: str) -> None:
        """Load a model; Loaded follows."""
        # A daemon: a load cannot be interrupted, and leaving must not wait for it.
        threading.Thread(target=self._load, args=(name,), name="load", daemon=True).start()

    def run(self, task: str) -> None:
        """Run a task (`/run FILE` for a task file); its events and Ended follow."""
        self._cancel = threading.Event()
        threading.Thread(target=self._run, args=(task, self._cancel), name="run").start()

    def stop(self) -> bool:
        """Stop the run within a decoding step; False when there is none, or it was told before."""
        if self._cancel is None or self._cancel.is_set():
            return False
        self._cancel.set()
        return True

    def over(self) -> None:
        """Ended was taken out: there is no run any more."""
        self._cancel = None

    def _load(self, name: str) -> None:
        outcome: ModelInfo | Failure
        try:
            outcome = self.runner.load(name)
        except Exception as error:  # a thread has no caller: whatever it is, the person must see it
            outcome = describe(error)
        self.inbox.append(Loaded(name, outcome))

    def _run(self, task: str, cancel: threading.Event) -> None:
        failure = None
        try:
            for event in self._events(task, cancel):
                self.inbox.append(event)
        except Exception as error:  # as in _load
            failure = describe(error)
        self.inbox.append(Ended(failure))

    def _events(self, task: str, cancel: threading.Event) -> Iterator[Event]:
        if is_command(task):
            return self.runner.run_file(Path(parse(task)[1]).expanduser(), cancel)
        return self.runner.run(task, cancel)
