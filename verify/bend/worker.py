"""A pool of persistent Bend workers (`verify/bend_worker`), each in a box of its own.

A worker compiles, reduces and reads back one program at a time in a few milliseconds. It sees hostile
input, so it is treated as hostile: it runs inside bubblewrap and under its own seccomp filter, what it
answers is parsed like any other output, and it is killed at the wall limit and replaced after CHECKS
programs. When the stream ends in the middle of a check (stack overflow, memory, a bug in HVM) that check is
a RUNTIME_ERROR and the next one gets a new worker.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import os
import subprocess
import threading
import time
from pathlib import Path

from verify.bend.harness import Program
from verify.bend.run import Run, compile_status, plain
from verify.bend.toolchain import worker
from verify.bend.worker_process import Died, Late, Worker
from verify.limits import Limits
from verify.verdict import Status

_STATUS = {
    "ok": Status.PASSED,
    "fuel": Status.FUEL,
    "memory": Status.OOM,
    "runtime": Status.RUNTIME_ERROR,
    "output": Status.OUTPUT_LIMIT,
    "bad": Status.BAD_OUTPUT,
}


class Pool:
    """Up to `size` workers, started when they are needed. Thread-safe."""

    def __init__(self, path: Path, size: int | None = None) -> None:
        self._path = path
        self._idle: list[Worker] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(size or os.cpu_count() or 1)
        self._closed = False

    def run(self, program: Program, limits: Limits) -> Run:
        """Evaluate a program. Raises Unavailable when no worker can be started."""
        return self._run(program.source, str(program.result).replace(" ", ""), limits)

    def profile(self, source: str, limits: Limits) -> Run:
        """The shape of a computation as text, see `verify.bend.explain`. Raises Unavailable."""
        return self._run(source, "profile", limits)

    def _run(self, source: str, typ: str, limits: Limits) -> Run:
        start = time.perf_counter()
        with self._slots:
            mine = self._take()
            queued = time.perf_counter()
            try:
                run = self._ask(mine, source, typ, limits)
            except BaseException:
                mine.close()
                raise
            self._give(mine)
        ended = time.perf_counter()
        return _timed(run, queue_ms=(queued - start) * 1000, wall_ms=(ended - queued) * 1000)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    def _take(self) -> Worker:
        while True:
            with self._lock:
                mine = self._idle.pop() if self._idle else None
            if mine is None:
                return Worker(self._path)
            if mine.usable:
                return mine
            mine.close()

    def _give(self, mine: Worker) -> None:
        with self._lock:
            if not self._closed and mine.usable:
                self._idle.append(mine)
                return
        mine.close()

    def _ask(self, mine: Worker, source: str, typ: str, limits: Limits) -> Run:
        memory = (limits.mem_mb << 20) * 7 // 8
        header = f"{limits.fuel} {memory} {limits.out_bytes} {typ}\n"
        version = _version(self._path)
        try:
            response = mine.ask((header + source).encode(), limits.wall_s)
        except Late:
            mine.close()
            return Run(
                Status.TIMEOUT,
                detail=f"wall time limit of {limits.wall_s:g} s reached",
                backend="worker",
                version=version,
                isolation=mine.isolation,
            )
        except Died:
            code = mine.exit_code()
            mine.close()
            return Run(
                Status.RUNTIME_ERROR,
                detail=f"the program brought the worker down (exit code {code}): stack, memory or a bug",
                backend="worker",
                version=version,
                isolation=mine.isolation,
            )
        return _parse(response, mine, version)


def _parse(response: bytes, mine: Worker, version: str) -> Run:
    head, _, body = response.partition(b"\n")
    text = body.decode("utf-8", "replace")
    try:
        word, interactions, compile_us, eval_us = head.decode("ascii").split(" ")
        counts = int(interactions), int(compile_us), int(eval_us)
    except ValueError:
        counts, word, text = (0, 0, 0), "protocol", "the worker's answer is malformed"
    if word == "compile":
        text = plain(text.split("Errors:", 1)[-1])
        status = compile_status(text)
    else:
        status = _STATUS.get(word, Status.INTERNAL_ERROR)
    ran = word not in ("compile", "protocol")
    return Run(
        status=status,
        result=text if word == "ok" else "",
        detail="" if word == "ok" else plain(text),
        backend="worker",
        version=version,
        isolation=mine.isolation,
        compile_ms=counts[1] / 1000,
        eval_ms=counts[2] / 1000 if ran else None,
        interactions=counts[0] if ran else None,
    )


def _timed(run: Run, *, queue_ms: float, wall_ms: float) -> Run:
    return dataclasses.replace(run, queue_ms=queue_ms, wall_ms=wall_ms)


@functools.lru_cache(maxsize=4)
def _version(path: Path) -> str:
    done = subprocess.run([path, "--version"], capture_output=True, timeout=5, check=False, text=True)
    return done.stdout.strip() or "unknown"


_pool: Pool | None = None
_pool_path: Path | None = None
_guard = threading.Lock()


def pool() -> Pool:
    """The process-wide pool. Raises Unavailable when the worker is not built."""
    global _pool, _pool_path
    path = worker()
    with _guard:
        if _pool is None or _pool_path != path:
            if _pool is not None:
                _pool.close()
            _pool, _pool_path = Pool(path), path
        return _pool


def close() -> None:
    """Stop all workers."""
    global _pool
    with _guard:
        stopping, _pool = _pool, None
    if stopping is not None:
        stopping.close()


def _forget() -> None:
    """In a forked child: the workers and their pipes belong to the parent."""
    global _pool, _guard
    _pool, _guard = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
atexit.register(close)
