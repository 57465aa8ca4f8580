"""Many requests at once: continuous batching over the rows of `Lanes`.

Each pass gives every row in use one token. A row whose answer has ended takes the next request; a prompt
that another row holds already is copied, not read again (several answers to one prompt). Answers do not
depend on the batch: every row gets the bits that it would get alone, and noise is a function of seed,
position and token.

On a device with `ahead` passes in flight the host looks at a pass's tokens while the next one runs; a row
that turns out to have ended ran one pass too many, which nothing sees.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from model.lanes import Chosen, Lanes, check_finite
from model.request import Step
from model.session import Session


@dataclass(eq=False, slots=True)
class Job:
    """A request under way: its place in the caller's list and its answer."""

    index: int
    open: Callable[[], Session]
    prompt: tuple[int, ...]
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class _Flight:
    """A launched pass and who was in its rows."""

    jobs: tuple[Job | None, ...]
    wait: Callable[[], Chosen]


class Batch:
    """One run over `jobs`, in order, on the first `rows` rows of the lanes."""

    def __init__(self, lanes: Lanes, jobs: Sequence[Job], rows: int) -> None:
        self._lanes, self._queue = lanes, deque(jobs)
        self._rows: list[Job | None] = [None] * min(rows, lanes.rows)
        self._flights: deque[_Flight] = deque()

    def run(self) -> Iterator[tuple[int, Step]]:
        while self._queue or self._flights or any(self._rows):
            yield from self._admit()
            if any(self._rows):
                self._launch()
            if len(self._flights) > self._lanes.ahead or (self._flights and not any(self._rows)):
                yield from self._land()

    def _admit(self) -> Iterator[tuple[int, Step]]:
        """Give free rows to waiting requests. Those cancelled or empty end here."""
        filling: list[tuple[int, Job]] = []
        for row, job in enumerate(self._rows):
            while job is None and self._queue:
                job = self._queue.popleft()
                job.session = job.open()
                if job.session.done or job.session.cancelled():
                    yield job.index, job.session.step(forwards=0)
                    job = None
                else:
                    self._rows[row] = job
                    filling.append((row, job))
        if not filling:
            return
        fresh = {row for row, _ in filling}
        held = {job.prompt: row for row, job in enumerate(self._rows) if job and row not in fresh}
        read, copied = [], []
        for row, job in filling:
            assert job.session is not None
            entry = row, job.prompt, job.session.request
            if job.prompt in held:
                copied.append((held[job.prompt], entry))
            else:
                held[job.prompt] = row
                read.append(entry)
        self._lanes.fill(read)
        for source, entry in copied:
            self._lanes.copy(source, entry)
        for _, job in filling:
            assert job.session is not None
            job.session.prefilled()

    def _launch(self) -> None:
        self._close_gaps()
        last = max(row for row, job in enumerate(self._rows) if job) + 1
        self._flights.append(_Flight(tuple(self._rows[:last]), self._lanes.launch(last)))

    def _close_gaps(self) -> None:
        """Nothing waits and rows are free: move the last ones down, so that passes become narrower."""
        if self._queue:
            return
        free = deque(row for row, job in enumerate(self._rows) if job is None)
        for row in range(len(self._rows) - 1, -1, -1):
            if not free or free[0] > row:
                return
            if self._rows[row] is not None:
                target = free.popleft()
                self._lanes.move(row, target)
                self._rows[target], self._rows[row] = self._rows[row], None

    def _land(self) -> Iterator[tuple[int, Step]]:
        """The tokens of the oldest pass in flight."""
        flight = self._flights.popleft()
        ids, logs = flight.wait()
        live = [row for row, job in enumerate(flight.jobs) if job and job.session and not job.session.done]
        check_finite(logs, live)
        for row in live:
            job = flight.jobs[row]
            assert job is not None
            assert job.session is not None
            yield job.index, advance(job.session, ids[row], logs[row])
            if job.session.done:
                self._rows[self._rows.index(job)] = None


def advance(session: Session, token: int, log: float) -> Step:
    """The step in which one token became final, or the request was cancelled."""
    if session.cancelled():
        return session.step(forwards=0)
    tokens, text = session.commit([token], [log], [math.exp(min(log, 0.0))])
    return session.step(tokens, text)


Cancel = threading.Event | Sequence[threading.Event | None] | None
"""One event for all requests, or one (or None) for each."""


def cancel_of(cancel: Cancel, index: int) -> threading.Event | None:
    return cancel if cancel is None or isinstance(cancel, threading.Event) else cancel[index]
