"""The progress bar of a run, on stderr, so that stdout holds results only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from evals.benchmark import Scored
from evals.run import Listener, Silent
from evals.sample import Sample
from model.request import Step

OnStep = Callable[[Step], None]


@contextmanager
def display(title: str, *, quiet: bool, judged: bool = True) -> Iterator[tuple[Listener, OnStep | None]]:
    """A live bar on a terminal; nothing where stderr is not one, or `quiet`. It counts verdicts, or samples
    where nothing is `judged`.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield Silent(), None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=5) as progress:
        bar = _Bar(progress, title, judged)
        yield bar, bar.on_step


class _Bar:
    """Counts judged samples; shows how many passed so far and the tokens of the answer being written."""

    def __init__(self, progress: object, title: str, judged: bool) -> None:
        from rich.progress import Progress

        assert isinstance(progress, Progress)
        self._progress = progress
        self._task = progress.add_task(title, total=None, state="loading the model")
        self._lock = threading.Lock()
        self._judging = judged
        self._judged = self._passed = self._tokens = 0

    def started(self, total: int, sampled: int, scored: int) -> None:
        self._progress.update(
            self._task, total=total, completed=scored if self._judging else sampled, state=""
        )

    def sampled(self, sample: Sample) -> None:
        self._tokens = 0
        if not self._judging:
            self._progress.update(self._task, advance=1, state=self._state())

    def scored(self, sample: Sample, scored: Scored) -> None:
        with self._lock:
            self._judged += 1
            self._passed += scored.ok
            self._progress.update(self._task, advance=1, state=self._state())

    def on_step(self, step: Step) -> None:
        self._tokens += len(step.committed)
        self._progress.update(self._task, state=self._state())

    def _state(self) -> str:
        writing = f", writing: {self._tokens} tokens" if self._tokens else ""
        passed = f"{self._passed}/{self._judged} passed" if self._judging else "not judged"
        return passed + writing
