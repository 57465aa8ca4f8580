"""A run over a Ray cluster: the same functions as the local run, as tasks of worker actors.

Each worker has a model (where one is needed) and a sandbox of its own; the driver is the only one that writes
the run folder, so its files are those of a local run. A worker that dies is started again by Ray and its
sample is made again: samples depend on task, sample number and seed only.

    evals run humaneval --executor ray --jobs 8        joins the cluster of RAY_ADDRESS, else starts a local
    one
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.benchmark import Benchmark, Task, open_benchmark, select
from evals.errors import InfrastructureError, ModelFailureError, UsageError
from evals.from_model import Warn
from evals.run import Key, Listener, Silent, default_jobs, judge_twice, make_config, settled_keys
from evals.rundir import SAMPLES, TIMING, VERDICTS, RunFolder, RunWriter, refuse_used
from evals.sample import Sample, scored_from_row, verdict_row
from evals.settings import Settings
from evals.source import open_source
from evals.summary import summarise

if TYPE_CHECKING:
    from ray.actor import ActorHandle

# Runs of one sample that a dying worker may cost before the run gives up.
RETRIES = 5
CONNECT_S = 10.0


class Worker:
    """Lives in a process of the cluster: makes and judges samples."""

    def __init__(self, name: str, data: str | None, settings: Settings) -> None:
        from evals.judge import Judge

        self._benchmark = open_benchmark(name, Path(data) if data else None)
        self._warnings: list[str] = []
        self._source = open_source(self._benchmark, settings, warn=self._warnings.append)
        self._judge = Judge(1)

    def info(self) -> tuple[dict[str, Any], list[str]]:
        """Of the model, and what to warn of; loads it."""
        return self._source.info, self._warnings

    def work(
        self, key: Key, row: dict[str, Any] | None
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """(sample, timing, verdict) rows of one sample; `row` is the sample where it exists already."""
        task = self._benchmark.tasks[key[0]]
        if row is None:
            sample, timing = self._source.sample(task, key[1], self._judge)
        else:
            sample, timing = Sample.from_row(row), {}
        scored, flaky = judge_twice(self._benchmark, task, sample.solution, self._judge)
        return sample.to_row(), timing, verdict_row(*key, scored, flaky=flaky)


def evaluate_ray(
    benchmark: Benchmark,
    settings: Settings,
    out: Path,
    *,
    data: Path | None = None,
    resume: bool = False,
    jobs: int | None = None,
    listener: Listener | None = None,
    warn: Warn | None = None,
) -> dict[str, Any]:
    """As `evals.run.evaluate`, over `jobs` workers; warn: as for `FromModel`. Raises UsageError where Ray is
    not installed, InfrastructureError where it does not start.
    """
    refuse_used(out, resume=resume)  # before anything slow is started
    try:
        import ray
    except ImportError:
        raise UsageError("--executor ray needs the ray extra: pip install 'trihead[ray]'") from None
    started = time.perf_counter()
    jobs = jobs or default_jobs()
    mine = not ray.is_initialized()
    if mine:
        _join(ray)
    try:
        remote = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=RETRIES)(Worker)
        workers = [remote.remote(benchmark.name, str(data) if data else None, settings) for _ in range(jobs)]
        info, warnings = _get(workers[0].info.remote())
        if warn is not None:
            for text in warnings:
                warn(text)
        _drive(benchmark, settings, out, resume, workers, info, listener or Silent())
    finally:
        if mine:
            ray.shutdown()
    summary = summarise(RunFolder(out))
    summary["wall_s"] = round(time.perf_counter() - started, 2)
    RunFolder(out).write_summary(summary)
    return summary


def _join(ray: Any) -> None:
    """Connect to the cluster of RAY_ADDRESS, else start a local one. Raises InfrastructureError."""
    where = os.environ.get("RAY_ADDRESS", "")
    host, _, port = where.rpartition(":")
    try:
        if port.isdigit() and "/" not in host:  # Ray itself tries a dead address for minutes
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
    except Exception as error:  # a node that does not start in time raises a bare Exception
        what = f"the Ray cluster at {where} (RAY_ADDRESS) cannot be joined" if where else "Ray did not start"
        hint = "" if where else "; start one with `ray start --head` and set RAY_ADDRESS, or run without ray"
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InfrastructureError(f"{what}: {lines[0]}{hint}") from None


def _drive(
    benchmark: Benchmark,
    settings: Settings,
    out: Path,
    resume: bool,
    workers: list[ActorHandle],
    info: dict[str, Any],
    listener: Listener,
) -> None:
    """Hand out samples, one a worker at a time, and write what comes back."""
    import ray

    tasks: dict[str, Task] = {task.id: task for task in select(benchmark, settings)}
    wanted: list[Key] = [(task_id, i) for task_id in tasks for i in range(settings.n)]
    config = make_config(benchmark, settings, info, tasks.values())
    prompts = {task.id: task.prompt for task in tasks.values()}
    with RunWriter(out, config, resume=resume, prompts=prompts) as writer:
        have = {sample.key: sample for sample in writer.folder.samples()}
        judged = settled_keys(writer.folder)
        listener.started(len(wanted), len(have), len(judged))
        left = [key for key in wanted if key not in judged or key not in have]
        left.reverse()
        busy: dict[Any, tuple[ActorHandle, Key]] = {}
        idle = list(workers)
        while left or busy:
            while left and idle:
                key, worker = left.pop(), idle.pop()
                row = have[key].to_row() if key in have else None
                busy[worker.work.remote(key, row)] = (worker, key)
            done, _ = ray.wait(list(busy), num_returns=1)
            worker, key = busy.pop(done[0])
            sample_row, timing, verdict = _get(done[0])
            idle.append(worker)
            sample = Sample.from_row(sample_row)
            if key not in have:
                if timing:
                    writer.append(TIMING, {"task_id": key[0], "sample": key[1], **timing})
                writer.append(SAMPLES, sample_row)
                listener.sampled(sample)
            writer.append(VERDICTS, verdict)
            listener.scored(sample, scored_from_row(verdict))
        writer.finish(wanted)


def _get(reference: Any) -> Any:
    """A result, or our own error for what a worker raised or for workers that keep dying."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ModelFailureError | InfrastructureError | UsageError):
            raise cause from None
        raise
    except ray.exceptions.RayActorError as error:
        raise InfrastructureError(
            f"a Ray worker died more than {RETRIES} times: {str(error).splitlines()[0]}"
        ) from None
