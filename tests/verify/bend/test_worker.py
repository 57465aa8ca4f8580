from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from verify.bend import close, worker, worker_process
from verify.bend.harness import Program
from verify.bend.toolchain import Unavailable
from verify.bend.toolchain import worker as worker_path
from verify.bend.types import U24
from verify.limits import Limits
from verify.verdict import Status

HANG = "def f(n: u24) -> u24:\n  if n == 9:\n    return n\n  else:\n    return f((n + 1) % 7)\n"
LIMITS = Limits(wall_s=30.0)


def program(expression: str, code: str = "") -> Program:
    return Program(f"{code}\ndef main() -> u24:\n  return {expression}\n", U24, chunked=False)


def gone(pid: int) -> bool:
    """Wait for a killed process: taking 6 GiB of mappings down takes a moment."""
    try:
        psutil.Process(pid).wait(60)
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return True
    except psutil.TimeoutExpired:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


@pytest.mark.bend
def test_two_threads_never_mix_results() -> None:
    pool = worker.Pool(worker_path(), 2)
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda n: pool.run(program(f"{n} * 3"), LIMITS).result, range(200)))
    pool.close()
    assert results == [str(3 * n) for n in range(200)]


@pytest.mark.bend
def test_a_worker_outlives_the_thread_that_started_it() -> None:
    """Else it would be killed by the kernel some time after, in the middle of a check."""
    pool = worker.Pool(worker_path(), 1)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(pool.run, program("1"), LIMITS).result().result == "1"
    with pytest.raises(psutil.TimeoutExpired):
        psutil.Process(pool._idle[0].pid).wait(0.3)
    pool.close()


@pytest.mark.bend
def test_a_killed_worker_is_replaced() -> None:
    pool = worker.Pool(worker_path(), 1)
    assert pool.run(program("1"), LIMITS).result == "1"
    mine = pool._idle[0]
    os.kill(mine.pid, signal.SIGKILL)
    psutil.Process(mine.pid).wait(60)
    assert pool.run(program("2"), LIMITS).result == "2"
    pool.close()


@pytest.mark.bend
def test_a_hang_is_a_timeout_and_leaves_nothing() -> None:
    pool = worker.Pool(worker_path(), 1)
    pool.run(program("1"), LIMITS)
    pids = [p.pid for p in psutil.Process(pool._idle[0].pid).children(recursive=True)]
    run = pool.run(program("f(0)", HANG), Limits(wall_s=0.2, fuel=10**12, mem_mb=8192))
    assert run.status is Status.TIMEOUT
    assert pids
    assert all(gone(pid) for pid in pids)
    assert pool.run(program("2"), LIMITS).result == "2"
    pool.close()


@pytest.mark.bend
def test_workers_are_recycled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "CHECKS", 3)
    pool = worker.Pool(worker_path(), 1)
    seen = set()
    for n in range(7):
        assert pool.run(program(str(n)), LIMITS).result == str(n)
        seen.update(each.pid for each in pool._idle)
    pool.close()
    assert len(seen) >= 2


@pytest.mark.bend
def test_a_forked_child_does_not_use_the_parents_workers() -> None:
    assert worker.pool().run(program("1"), LIMITS).result == "1"
    child = os.fork()
    if child == 0:
        ok = worker._pool is None
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert worker.pool().run(program("2"), LIMITS).result == "2"


@pytest.mark.bend
@pytest.mark.parametrize("name", ["IO/print", "IO/MAGIC", "IO/FS/open", "IO/DyLib/open", "IO/Done"])
def test_io_does_not_exist_in_the_worker(name: str) -> None:
    """Even for a program that never went through the gate."""
    run = worker.pool().run(program(f"{name}(1)"), LIMITS)
    assert run.status is Status.COMPILE_ERROR
    assert "Unbound" in run.detail or "nbound" in run.detail


@pytest.mark.bend
def test_imports_are_denied_in_the_worker() -> None:
    run = worker.pool().run(Program("import secret\n" + program("1").source, U24, chunked=False), LIMITS)
    assert run.status is Status.COMPILE_ERROR


@pytest.mark.bend
def test_builtins_are_there_when_they_are_named() -> None:
    code = (
        "def f(n: u24) -> u24:\n  (n, xs) = List/length([1, 2, 3])\n"
        "  return n + f24/to_u24(Math/sqrt(16.0))\n"
    )
    assert worker.pool().run(program("f(1)", code), LIMITS).result == "7"
    maps = "def f(n: u24) -> u24:\n  m = { 1: 5, 2: 6 }\n  return m[2]\n"
    assert worker.pool().run(program("f(1)", maps), LIMITS).result == "6"


@pytest.mark.bend
def test_close_is_safe_to_repeat() -> None:
    assert worker.pool().run(program("1"), LIMITS).result == "1"
    close()
    close()
    assert worker.pool().run(program("2"), LIMITS).result == "2"


def test_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(Unavailable, match="verify install bend"):
        worker.pool()


def test_a_binary_that_is_not_the_worker(tmp_path: Path) -> None:
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\nprintf '\\005\\000\\000\\000hello'; sleep 5\n")
    fake.chmod(0o755)
    with pytest.raises(Unavailable, match="verify install bend --force"):
        worker.Pool(fake, 1).run(program("1"), LIMITS)


@pytest.mark.bend
def test_faults_leave_no_descriptor_and_no_process() -> None:
    codes = [
        "def f(n: u24) -> u24:\n  return n + 1\n",
        "def f(n: u24) -> u24:\n  return n / (n - n)\n",
        "def f(n: u24) -> u24:\n  return\n",
        "def f(n: u24) -> String:\n  return n\n",
        HANG,
    ]
    close()
    me = psutil.Process()
    before = me.num_fds(), len(me.children(recursive=True))
    pool = worker.Pool(worker_path(), 1)
    for turn in range(200):
        pool.run(program("f(1)", codes[turn % len(codes)]), Limits(fuel=5_000))
        if turn % 50 == 0:
            pool.run(program("f(1)", HANG), Limits(fuel=10**12, mem_mb=8192, wall_s=0.05))
    pool.close()
    assert (me.num_fds(), len(me.children(recursive=True))) == before
