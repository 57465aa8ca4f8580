"""The runner in a process of its own: what a model does there cannot stall the screen here.

Importing torch, reading a tokenizer and every step of a decoder hold Python's lock; in a thread of the app
they stop its event loop for a second at a time, and keys and clock with it. `Worker` has the methods of
`tui.session.Runner` and passes them on; events come back as they are made. Should the process die (out of
memory, say), `ended` says how, files that its run had changed are put back, and the next load or task starts
another.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.events import Restored, Started
from tui.session import Failure, Runner, Settings, WorkerError, describe

if TYPE_CHECKING:
    from agent.events import Event
    from model.request import ModelInfo

_LOOK_S = 0.02  # how often a run looks whether it is to stop: less than a decoding step on a CPU
_CANCEL, _STOP = "cancel", "stop"


@dataclass(frozen=True, slots=True)
class _Request:
    """A method of the runner and its argument."""

    method: str
    argument: str | Path
    settings: Settings


@dataclass(frozen=True, slots=True)
class _End:
    """After the last event of a run."""


@dataclass(frozen=True, slots=True)
class _Child:
    """lock: of waiting for its end; of two threads that wait at once one would not learn the exit code."""

    process: SpawnProcess
    pipe: Connection
    lock: threading.Lock = field(default_factory=threading.Lock)

    def join(self) -> None:
        with self.lock:
            self.process.join()

    def how(self) -> str:
        """How it ended, once it has."""
        self.join()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        return f"signal {-code}" + (", as when memory runs out" if code == -signal.SIGKILL else "")


class Worker:
    """A `tui.session.TaskRunner`. Used by one thread at a time, but for `close`."""

    def __init__(self, settings: Settings, make: Callable[[Settings], Runner] = Runner) -> None:
        self.settings = settings
        self._make = make
        self._child: _Child | None = None
        self._model = ""  # what a new process has to load before it can run
        self._loading = False

    @property
    def ended(self) -> str:
        """How the process came to its end, '' while it lives; not to be asked while another thread runs."""
        if self._child is None or not wait([self._child.process.sentinel], 0):
            return ""
        return self._child.how()

    def start(self) -> None:
        """Start the process. Before the app does: multiprocessing's first start needs the real sys.stderr, in
        whose place Textual puts one without a descriptor."""
        self._living()

    def load(self, model: str) -> ModelInfo:
        """As `Runner.load`. Raises WorkerError with the line that describes what went wrong."""
        self._loading = True
        try:
            child = self._living()
            self._ask(child, "load", model)
            info: ModelInfo = self._answer(child)
        finally:
            self._loading = False
        self._model = model
        return info

    def run(self, text: str, cancel: threading.Event) -> Iterator[Event]:
        """As `Runner.run`. Raises WorkerError."""
        return self._run("run", text, cancel)

    def run_file(self, path: Path, cancel: threading.Event) -> Iterator[Event]:
        """As `Runner.run_file`. Raises WorkerError."""
        return self._run("run_file", path, cancel)

    def close(self) -> None:
        """End the process: a run is stopped and recorded first, a load is not waited for."""
        child = self._child
        if child is None:
            return
        if self._loading:
            child.process.terminate()
        else:
            with contextlib.suppress(OSError):  # it has ended already
                child.pipe.send(_STOP)
        child.join()

    def _run(self, method: str, argument: str | Path, cancel: threading.Event) -> Iterator[Event]:
        if self._model and (self._child is None or not self._child.process.is_alive()):
            self.load(self._model)
        child = self._living()
        self._ask(child, method, argument)
        session = ""
        try:
            for event in self._events(child, cancel):
                if isinstance(event, Started):
                    session = event.session_id
                yield event
        except _Died:
            if paths := _put_back(session):
                yield Restored(paths)
            raise

    def _events(self, child: _Child, cancel: threading.Event) -> Iterator[Event]:
        told = False
        while True:
            if cancel.is_set() and not told:
                told = True
                with contextlib.suppress(OSError):  # it ended: the next answer says how
                    child.pipe.send(_CANCEL)
            if child.pipe.poll(_LOOK_S):
                event = self._answer(child)
                if isinstance(event, _End):
                    return
                yield event

    def _living(self) -> _Child:
        if self._child is None or not self._child.process.is_alive():
            # A fork would take along the app's threads and locks.
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, self._make, self.settings), daemon=True)
            process.start()
            theirs.close()
            self._child = _Child(process, ours)
        return self._child

    def _ask(self, child: _Child, method: str, argument: str | Path) -> None:
        try:
            child.pipe.send(_Request(method, argument, self.settings))
        except OSError:
            raise _Died(f"the process of the model ended ({child.how()})") from None

    def _answer(self, child: _Child) -> Any:
        try:
            answer = child.pipe.recv()
        except (EOFError, OSError):
            raise _Died(f"the process of the model ended ({child.how()})") from None
        if isinstance(answer, Failure):
            raise WorkerError(answer.message)
        return answer


class _Died(WorkerError):
    """The process is gone."""


def _put_back(session: str) -> tuple[str, ...]:
    """What the loop does at the end of a run that is not solved, for one whose process cannot any more."""
    from agent.session import data_folder
    from agent.workspace import Workspace

    before = data_folder() / "sessions" / session / "before"
    return Workspace.recover(before) if session and before.is_dir() else ()


def _serve(pipe: Connection, make: Callable[[Settings], Runner], settings: Settings) -> None:
    """The process: what the pipe asks for, one thing after another, until it says stop or is closed."""
    # Signals of the terminal are the app's, which then says what is to be done.
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    asked: queue.SimpleQueue[tuple[_Request, threading.Event] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, asked), daemon=True).start()
    runner = make(settings)
    while (item := asked.get()) is not None:
        request, cancel = item
        runner.settings = request.settings
        try:
            for answer in _answers(runner, request, cancel):
                _send(pipe, answer)
        except Exception as error:  # whatever it is, the person must see it
            _send(pipe, describe(error))


def _send(pipe: Connection, answer: object) -> None:
    # Without an app a run is still stopped, its files put back, its record whole.
    with contextlib.suppress(OSError):
        pipe.send(answer)


def _listen(pipe: Connection, asked: queue.SimpleQueue[tuple[_Request, threading.Event] | None]) -> None:
    """Requests in order; each has its own event, so that a late cancel does not stop the next run."""
    cancel = threading.Event()
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):  # the app is gone
            message = _STOP
        if isinstance(message, _Request):
            cancel = threading.Event()
            asked.put((message, cancel))
            continue
        cancel.set()
        if message == _STOP:
            asked.put(None)
            return


def _answers(runner: Runner, request: _Request, cancel: threading.Event) -> Iterator[Any]:
    match request.method:
        case "load":
            yield runner.load(str(request.argument))
        case "run":
            yield from runner.run(str(request.argument), cancel)
            yield _End()
        case _:
            yield from runner.run_file(Path(request.argument), cancel)
            yield _End()
