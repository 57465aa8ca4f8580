"""The soak test: thousands of mixed checks with faults, and what they leave behind.

    result = soak(10_000, "auto")     # before and after: descriptors, processes, mounts, temporary files,
    memory

The mix: honest checks of every kind, wrong answers, crashes, early exits, floods, memory and time limits,
daemons, and now and then the fork servers are killed from outside.
"""

from __future__ import annotations

import collections
import gc
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from verify.abuse.canary import alive_below
from verify.checker import open_checker
from verify.limits import Limits
from verify.request import Case, CheckRequest, FunctionCheck, ProgramCase, ProgramCheck, TestSourceCheck
from verify.sandbox import SandboxError
from verify.verdict import Status

_QUICK = Limits(wall_s=2.0, cpu_s=2.0, mem_mb=256)
_SHORT = Limits(wall_s=0.2, cpu_s=2.0, mem_mb=128)
BREAK_EVERY = 1_500
_DAEMON = """
import os, time
def f(x):
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
    return x + 1
"""


@dataclass(frozen=True, slots=True)
class Traces:
    """What a leak would raise. `memory_mb`: resident set of this process; `sandbox_mb`: of everything below
    it.
    """

    descriptors: int
    processes: int
    threads: int
    mounts: int
    temporary_files: int
    cgroups: int
    memory_mb: float
    sandbox_mb: float


@dataclass(frozen=True, slots=True)
class Soak:
    """before: servers warm, no check yet. middle, after: at half and at the end. closed: the checker is
    closed.
    """

    checks: int
    wall_s: float
    statuses: dict[str, int]
    wrong: int
    before: Traces
    middle: Traces
    after: Traces
    closed: Traces

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _mix() -> list[tuple[CheckRequest, Status]]:
    def function(code: str, limits: Limits = _QUICK) -> CheckRequest:
        return FunctionCheck(code, "f", (Case((1,), expected=2), Case((20,), expected=21)), limits=limits)

    test = "def check(candidate):\n    for n in range(10):\n        assert candidate(n) == n + 1"
    good = "def f(x):\n    return x + 1"
    often: list[tuple[CheckRequest, Status]] = [
        (function(good), Status.PASSED),
        (function("def f(x):\n    return x"), Status.FAILED),
        (TestSourceCheck(good, "f", test, limits=_QUICK), Status.PASSED),
        (function("def f(x):\n    raise ValueError(x)"), Status.RUNTIME_ERROR),
        (function("def f(x"), Status.COMPILE_ERROR),
        (function("import os\ndef f(x):\n    os._exit(0)"), Status.FAILED),
        (function("import ctypes\ndef f(x):\n    ctypes.string_at(0)"), Status.RUNTIME_ERROR),
        (function("def f(x):\n    open('a', 'w').write('x' * 1000)\n    return x + 1"), Status.PASSED),
        (function("def f(x):\n    while True: print('x' * 1000)"), Status.OUTPUT_LIMIT),
        (function("def f(x):\n    return object()"), Status.BAD_OUTPUT),
        (function("import os\ndef f(x):\n    os.write(3, b'x' * 64)\n    return 0"), Status.OUTPUT_LIMIT),
        (
            ProgramCheck(
                {"m.py": "print(input())"}, "m.py", (ProgramCase(stdin="a\n", stdout="a"),), limits=_QUICK
            ),
            Status.PASSED,
        ),
        (
            function(_DAEMON),
            Status.PASSED,
        ),
    ]
    seldom: list[tuple[CheckRequest, Status]] = [
        (function("def f(x):\n    while True: pass", _SHORT), Status.TIMEOUT),
        (function("def f(x):\n    return bytearray(1 << 30)"), Status.OOM),
    ]
    return often * 4 + seldom


def soak(count: int, backend: str = "auto", progress: Callable[[int], object] | None = None) -> Soak:
    """Run `count` checks. Raises SandboxError when the backend does not work here."""
    mix = _mix()
    statuses: collections.Counter[str] = collections.Counter()
    wrong = 0
    done = 0
    start = time.monotonic()
    with open_checker(backend) as checker:
        if checker.sandbox is None:
            raise SandboxError(checker.probe.why)
        checker.warm()
        for request, _ in mix[:14]:
            checker.check(request)
        before = middle = _look()

        def requests() -> Iterator[CheckRequest]:
            for number in range(count):
                yield mix[number % len(mix)][0]

        cancel = threading.Event()
        for verdict in checker.check_many(requests(), cancel=cancel):
            wanted = mix[done % len(mix)][1]
            statuses[str(verdict.status)] += 1
            wrong += verdict.status is not wanted
            done += 1
            if done % BREAK_EVERY == 0:
                checker.break_servers()
            if done == count // 2:
                middle = _look()
            if progress is not None:
                progress(done)
        after = _look()
    time.sleep(0.5)
    return Soak(count, time.monotonic() - start, dict(statuses), wrong, before, middle, after, _look())


def _look() -> Traces:
    gc.collect()
    time.sleep(0.2)
    processes = alive_below(os.getpid())
    me = psutil.Process()
    name = f"trihead-{os.getpid()}-*"
    groups = [*Path("/sys/fs/cgroup").glob(f"*/{name}"), *Path("/sys/fs/cgroup").glob(name)]
    below = 0
    for process in processes:
        try:
            below += process.memory_info().rss
        except psutil.Error:
            continue
    return Traces(
        descriptors=len(os.listdir("/proc/self/fd")),
        processes=len(processes),
        threads=threading.active_count(),
        mounts=len(Path("/proc/self/mounts").read_text().splitlines()),
        temporary_files=sum(name.startswith("trihead-") for name in os.listdir(tempfile.gettempdir())),
        cgroups=len(groups),
        memory_mb=round(me.memory_info().rss / 2**20, 1),
        sandbox_mb=round(below / 2**20, 1),
    )
