"""The runner in a process of its own: the same events, the same files, and a screen that never waits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.events import Decoded, Done, Event, Restored, Started, Verified
from agent.session import sessions
from tests.tui.conftest import PLAN, RIGHT, TASK, WRONG, HeldRunner, steady
from tui.session import Runner, Settings, WorkerError
from tui.worker import Worker

MakeWorker = Callable[..., Worker]


class Paused(Runner):
    """Stands still after the first verdict."""

    def _run(self, task: object, cancel: threading.Event, path: Path | None = None) -> Iterator[Event]:
        for event in super()._run(task, cancel, path):  # type: ignore[arg-type]  # passed through
            yield event
            if isinstance(event, Verified):
                cancel.wait()


class Slow(Runner):
    """Loads until it is ended."""

    def load(self, model: str) -> None:  # type: ignore[override]  # it never returns
        Path(model).touch()
        threading.Event().wait()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.json"
    path.write_text(json.dumps([PLAN, WRONG, RIGHT]))
    return path


@pytest.fixture
def make_worker(workdir: Path) -> Iterator[MakeWorker]:
    made: list[Worker] = []

    def make(runner: type[Runner] = Runner) -> Worker:
        made.append(Worker(Settings("unused", "ar", workdir, keep=True), runner))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


def events_of(runner: Runner | Worker, script: Path) -> list[Event]:
    runner.load(f"scripted:{script}")
    return [steady(event) for event in runner.run(TASK, threading.Event())]


def test_events_and_files_are_those_of_the_runner(
    make_worker: MakeWorker, script: Path, workdir: Path
) -> None:
    there = events_of(make_worker(), script)
    written = (workdir / "solution.py").read_text()
    (workdir / "solution.py").unlink()
    here = events_of(Runner(Settings("unused", "ar", workdir, keep=True)), script)
    assert [type(event) for event in here] == [type(event) for event in there]
    assert [e for e in here if isinstance(e, Decoded)] == [e for e in there if isinstance(e, Decoded)]
    assert isinstance(there[-1], Done)
    assert (workdir / "solution.py").read_text() == written


def test_a_real_model_loads_and_writes_without_torch_in_the_apps_process(tmp_path: Path) -> None:
    heavy = ("torch", "transformers", "tokenizers", "verify.checker", "agent.loop")
    code = f"""
import sys, threading
from pathlib import Path
from tui.session import Settings
from tui.worker import Worker
if __name__ == "__main__":
    worker = Worker(Settings("tiny", "ar", Path({str(tmp_path)!r}), max_tokens=8))
    print(worker.load("tiny").name, len(list(worker.run({TASK!r}, threading.Event()))) > 2)
    worker.close()
    print([m for m in {heavy!r} if m in sys.modules])
"""
    (tmp_path / "run.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["tiny True", "[]"]


def test_cancelling_stops_the_run_and_the_next_one_is_not_stopped(
    make_worker: MakeWorker, script: Path
) -> None:
    worker, cancel = make_worker(HeldRunner), threading.Event()
    worker.load(f"scripted:{script}")
    outcome = None
    for event in worker.run(TASK, cancel):
        if isinstance(event, Decoded) and event.call == HeldRunner.call:
            cancel.set()  # the runner is held until it is told
        outcome = event
    assert isinstance(outcome, Done)
    assert outcome.status == "cancelled"
    worker.load(f"scripted:{script}")
    assert isinstance(next(worker.run(TASK, threading.Event())), Started)


def test_what_goes_wrong_there_is_said_here(make_worker: MakeWorker, script: Path, workdir: Path) -> None:
    worker = make_worker()
    with pytest.raises(WorkerError, match="nothing-of-that-name"):
        worker.load("nothing-of-that-name")
    with pytest.raises(WorkerError, match="no model is loaded"):
        list(worker.run(TASK, threading.Event()))
    worker.load(f"scripted:{script}")
    with pytest.raises(WorkerError, match=r"missing\.md"):
        list(worker.run_file(Path("missing.md"), threading.Event()))


def test_a_process_that_died_is_started_again_with_its_model(make_worker: MakeWorker, script: Path) -> None:
    worker = make_worker(HeldRunner)
    worker.load(f"scripted:{script}")
    events = worker.run(TASK, threading.Event())
    next(events)
    os.kill(_pid(worker), signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"ended \(signal 9, as when memory runs out\)"):
        list(events)
    assert worker.ended == "signal 9, as when memory runs out"
    assert isinstance(next(worker.run(TASK, threading.Event())), Started)
    assert not worker.ended


def test_files_of_a_run_whose_process_died_are_put_back(
    make_worker: MakeWorker, script: Path, workdir: Path
) -> None:
    worker = make_worker(Paused)
    worker.load(f"scripted:{script}")
    events = worker.run(TASK, threading.Event())
    while not isinstance(next(events), Verified):
        pass
    assert (workdir / "solution.py").is_file()
    os.kill(_pid(worker), signal.SIGKILL)
    assert next(events) == Restored(("solution.py",))
    with pytest.raises(WorkerError, match="signal 9"):
        next(events)
    assert list(workdir.iterdir()) == []


def test_closing_records_a_run_and_waits_for_no_load(
    make_worker: MakeWorker, script: Path, tmp_path: Path
) -> None:
    worker = make_worker(HeldRunner)
    worker.load(f"scripted:{script}")
    assert isinstance(next(worker.run(TASK, threading.Event())), Started)
    worker.close()
    (session,) = sessions()
    assert (session.folder / "trajectory.json").is_file()

    slow, mark = make_worker(Slow), tmp_path / "loading"
    ended: list[str] = []

    def load() -> None:
        try:
            slow.load(str(mark))
        except WorkerError as error:
            ended.append(str(error))

    thread = threading.Thread(target=load)
    thread.start()
    while not mark.exists():
        thread.join(0.01)
    slow.close()
    thread.join()
    assert "signal 15" in ended[0]


def _pid(worker: Worker) -> int:
    assert worker._child is not None
    pid = worker._child.process.pid
    assert pid is not None
    return pid
