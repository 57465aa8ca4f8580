"""The front door: open a checker, check requests, get verdicts.

    with open_checker() as checker:
        verdict = checker.check(FunctionCheck(code=..., entry="f", cases=(Case(args=(1,), expected=2),)))
        for verdict in checker.check_many(requests):      # order kept, all cores busy
            ...

A checker holds one warm fork server a core, started on first use. It is thread-safe. Nothing here raises for
what a candidate does; a broken sandbox is an INTERNAL_ERROR verdict, a missing one UNAVAILABLE with the
remedy.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from verify import functions, programs, testsource
from verify.admission import UnsupportedError
from verify.backends import choose
from verify.cache import Cache, key_of
from verify.command import command_check
from verify.forkserver import ForkServer
from verify.limits import Limits
from verify.request import CheckRequest, CommandCheck, FunctionCheck, ProgramCheck, TestSourceCheck
from verify.sandbox import SandboxError
from verify.verdict import Status, Verdict

QUEUED_PER_WORKER = 4


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a program did: PASSED when it ended by itself with exit code 0. Output is untrusted bytes, cut at
    the cap.
    """

    status: Status
    stdout: bytes
    stderr: bytes
    exit_code: int | None
    detail: str
    wall_ms: float
    cpu_ms: float
    max_rss_kb: int


def open_checker(
    backend: str = "auto",
    *,
    jobs: int | None = None,
    unsafe: bool = False,
    preload: tuple[str, ...] = (),
    cache: Path | None = None,
) -> Checker:
    """Open a checker. jobs: parallel checks, default one a usable core. preload: modules imported once in the
    fork server from this environment (then its site-packages are readable for candidates). cache: a folder
    for verdicts.

    Raises ValueError for a backend name that does not exist or needs `unsafe`. A backend that does not work
    here is not an error: its checks are UNAVAILABLE and say what to do.
    """
    return Checker(backend, jobs=jobs, unsafe=unsafe, preload=preload, cache=cache)


class Checker:
    """See the module. `sandbox` is None where no backend works; `probe` says why."""

    def __init__(
        self,
        backend: str = "auto",
        *,
        jobs: int | None = None,
        unsafe: bool = False,
        preload: tuple[str, ...] = (),
        cache: Path | None = None,
    ) -> None:
        self.sandbox, self.probe = choose(backend, unsafe)
        self.jobs = jobs if jobs is not None else len(os.sched_getaffinity(0))
        if self.jobs < 1:
            raise ValueError("jobs must be at least 1")
        self._cache = Cache(cache) if cache is not None else None
        self._preload = preload
        self._idle: collections.deque[ForkServer] = collections.deque()
        self._all: list[ForkServer] = []
        self._free = threading.Semaphore(self.jobs)
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Checker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill the fork servers and give back the sandbox. Safe to repeat; a check that still runs is cut."""
        self._closed = True
        with self._lock:
            servers, self._all = self._all, []
            self._idle.clear()
        for server in servers:
            server.close()
        if self.sandbox is not None:
            self.sandbox.close()

    def warm(self) -> None:
        """Start all fork servers now, for benchmarks and services."""
        if self.sandbox is None:
            return
        servers = [self._borrow() for _ in range(self.jobs)]
        try:
            for server in servers:
                server.start()
        finally:
            for server in servers:
                self._return(server)

    def check(self, request: CheckRequest) -> Verdict:
        """The verdict on one request. Never raises for anything a candidate does."""
        start = time.perf_counter()
        cached_key = ""
        if self._cache is not None:
            cached_key = key_of(request, self.probe.name, self.probe.version)
            if cached_key and (known := self._cache.get(cached_key)) is not None:
                return dataclasses.replace(known, cached=True, wall_ms=_since(start))
        queued = [0.0]
        try:
            verdict = self._check(request, queued)
        except UnsupportedError as error:
            verdict = Verdict(Status.UNSUPPORTED, detail=str(error))
        except SandboxError as error:
            verdict = Verdict(Status.INTERNAL_ERROR, detail=str(error))
        if verdict.lang == "python":
            verdict = dataclasses.replace(
                verdict,
                backend=self.probe.name,
                backend_version=self.probe.version,
                isolation=self.probe.isolation,
                lang=getattr(request, "lang", "python"),
                wall_ms=_since(start),
                queue_ms=queued[0],
                key=cached_key,
            )
        if self._cache is not None and cached_key:
            self._cache.put(cached_key, verdict)
        return verdict

    def _check(self, request: CheckRequest, queued: list[float]) -> Verdict:
        if isinstance(request, FunctionCheck) and request.lang == "bend":
            return _bend(request)
        if not isinstance(request, CommandCheck) and request.lang != "python":
            raise UnsupportedError(f"{type(request).__name__} in {request.lang} is not supported")
        if self.sandbox is None:
            return Verdict(Status.UNAVAILABLE, detail=self.probe.why)
        if isinstance(request, CommandCheck):
            with self._free:
                return command_check(request, self.sandbox)
        start = time.perf_counter()
        server = self._borrow()
        queued[0] = _since(start)
        try:
            match request:
                case FunctionCheck():
                    return functions.function_check(request, server)
                case TestSourceCheck():
                    return testsource.test_source_check(request, server)
                case ProgramCheck():
                    return programs.program_check(request, server)
        finally:
            self._return(server)

    def check_many(
        self,
        requests: Iterable[CheckRequest],
        progress: Callable[[int], object] | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Verdict]:
        """Verdicts in the order of the requests, `jobs` at a time, reading ahead a bounded number of them.

        progress: called with the number of verdicts so far, after each. cancel: when set, no further request
        is started and the iteration ends after those that run.
        """
        window = self.jobs * QUEUED_PER_WORKER
        pending: collections.deque[concurrent.futures.Future[Verdict]] = collections.deque()
        source = iter(requests)
        done = 0
        pool = concurrent.futures.ThreadPoolExecutor(self.jobs, thread_name_prefix="verify")
        try:
            while True:
                while len(pending) < window and not (cancel is not None and cancel.is_set()):
                    try:
                        pending.append(pool.submit(self.check, next(source)))
                    except StopIteration:
                        break
                if not pending:
                    return
                if cancel is not None and cancel.is_set():
                    while pending and pending[-1].cancel():
                        pending.pop()
                    if not pending:
                        return
                verdict = pending.popleft().result()
                done += 1
                if progress is not None:
                    progress(done)
                yield verdict
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def exec_python(self, source: str, stdin: bytes = b"", limits: Limits | None = None) -> ExecResult:
        """Run `source` as `__main__` in a fresh confined fork, without judging what it prints.

        For callers that judge by themselves. Whatever `source` contains beside the candidate is in its reach.
        """
        limits = limits or Limits()
        if self.sandbox is None:
            return ExecResult(Status.UNAVAILABLE, b"", b"", None, self.probe.why, 0.0, 0.0, 0)
        start = time.perf_counter()
        server = self._borrow()
        try:
            files = {"main.py": source}
            status, detail, reply = programs.program_run(files, "main.py", (), stdin, limits, server)
        except SandboxError as error:
            return ExecResult(Status.INTERNAL_ERROR, b"", b"", None, str(error), _since(start), 0.0, 0)
        finally:
            self._return(server)
        code: int | None = reply["status"] >> 8 if not reply["status"] & 0x7F else None
        if status is Status.PASSED and code != 0:
            status, detail = Status.RUNTIME_ERROR, f"exit code {code}"
        cpu_ms = reply["cpu_s"] * 1_000
        return ExecResult(
            status, reply["out"], reply["err"], code, detail, _since(start), cpu_ms, reply["rss_kb"]
        )

    def break_servers(self) -> None:
        """Kill the servers' processes without telling them, so that tests can see them heal."""
        with self._lock:
            for server in self._all:
                server.kill_process()

    def _borrow(self) -> ForkServer:
        self._free.acquire()
        with self._lock:
            if self._closed:
                self._free.release()
                raise SandboxError("the checker is closed")
            if self._idle:
                return self._idle.pop()
            assert self.sandbox is not None
            server = ForkServer(self.sandbox, self._preload)
            self._all.append(server)
            return server

    def _return(self, server: ForkServer) -> None:
        with self._lock:
            if self._closed:
                server.close()
            else:
                self._idle.append(server)
        self._free.release()


def _bend(request: FunctionCheck) -> Verdict:
    try:
        from verify.bend import check_function
    except ImportError:
        why = "Bend checks are not part of this installation; run `verify install bend`"
        return Verdict(Status.UNAVAILABLE, detail=why, lang="bend")
    verdict: Verdict = check_function(request)
    return verdict


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1_000
