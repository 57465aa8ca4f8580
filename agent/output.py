"""The event stream as a program reads it: one JSON object, or one object a line. agent.text_output is for a
person.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from agent.errors import AgentError
from agent.events import Done, Event
from model.errors import ModelError

RESULT_KEYS = (
    "status",
    "exit_code",
    "session_id",
    "trajectory",
    "verdict",
    "files_changed",
    "steps",
    "repairs",
    "tokens",
    "forwards",
    "tokens_per_forward",
    "wall_s",
    "error",
)


class Output:
    """Shows events; knows the exit code at the end."""

    def __init__(self) -> None:
        self.exit_code = 5  # a run that ends without `Done` is our fault
        self._muted = False

    def show(self, event: Event) -> None:
        if isinstance(event, Done):
            self.exit_code = event.exit_code
        if not self._muted:
            self.print(event)

    def print(self, event: Event) -> None:
        raise NotImplementedError

    def fail(self, message: str, exit_code: int) -> None:
        """Say why there was no run."""
        raise NotImplementedError

    def mute(self) -> None:
        """Print nothing more."""
        self._muted = True
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115 - the interpreter flushes it at exit; the pipe is gone

    @contextlib.contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """While something takes seconds."""
        yield

    @contextlib.contextmanager
    def reporting_errors(self) -> Iterator[None]:
        """Errors with a known cause become one line and an exit code."""
        try:
            yield
        except AgentError as error:
            self._fail(str(error), error.exit_code)
        except ModelError as error:
            self._fail(str(error), 4)

    def _fail(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        self.fail(message, exit_code)


class JsonOutput(Output):
    """One object at the end."""

    def print(self, event: Event) -> None:
        if isinstance(event, Done):
            print(json.dumps(result(event), indent=1), flush=True)

    def fail(self, message: str, exit_code: int) -> None:
        print(json.dumps(_no_run(message, exit_code), indent=1), flush=True)


class StreamOutput(Output):
    """Every event as one line of JSON; the last one is `done`."""

    def print(self, event: Event) -> None:
        print(json.dumps(event.to_dict()), flush=True)

    def fail(self, message: str, exit_code: int) -> None:
        print(json.dumps({"type": "done", **_no_run(message, exit_code)}), flush=True)


def result(done: Done) -> dict[str, Any]:
    """The object `--output json` prints."""
    row = done.to_dict()
    return {key: row[key] for key in RESULT_KEYS}


def _no_run(message: str, exit_code: int) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(RESULT_KEYS)
    counts = dict.fromkeys(("steps", "repairs", "tokens", "forwards"), 0)
    return {
        **empty,
        **counts,
        "status": "error",
        "exit_code": exit_code,
        "files_changed": [],
        "error": message,
    }
