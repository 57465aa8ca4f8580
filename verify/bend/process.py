"""Runs one command with caps on time, memory and output, and leaves no process behind.

HVM reserves 6 to 8 GiB of address space and touches little of it, so an address-space limit cannot cap its
memory (below about 6.3 GB it segfaults at once). A watcher reads the resident size of every descendant
instead, every 20 ms; HVM grows by less than 0.5 GB/s.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

_TICK_S = 0.02
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
_HERTZ = os.sysconf("SC_CLK_TCK")

Stopped = Literal["", "wall", "cpu", "memory", "output"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`stopped` names the cap that ended the command; empty when it ended by itself with `returncode`."""

    returncode: int
    stdout: bytes
    stderr: bytes
    stopped: Stopped
    wall_ms: float
    max_rss_kb: int


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    wall_s: float,
    cpu_s: float,
    mem_mb: int,
    out_bytes: int,
) -> Outcome:
    """Run `argv` in a session of its own. Raises OSError when it cannot be started."""
    start = time.perf_counter()
    child = subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        streams = {"stdout": child.stdout, "stderr": child.stderr}
        output, stopped, rss = _watch(child, streams, start, wall_s, cpu_s, mem_mb, out_bytes)
    finally:
        kill_group(child.pid)
        child.wait()
        child.stdout.close()
        child.stderr.close()
    wall_ms = (time.perf_counter() - start) * 1000
    return Outcome(child.returncode, output["stdout"], output["stderr"], stopped, wall_ms, rss)


def kill_group(pid: int) -> None:
    """Kill the session started with leader `pid`, and what escaped its process group."""
    for each in descendants(pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _watch(
    child: subprocess.Popen[bytes],
    streams: dict[str, IO[bytes]],
    start: float,
    wall_s: float,
    cpu_s: float,
    mem_mb: int,
    out_bytes: int,
) -> tuple[dict[str, bytes], Stopped, int]:
    output = {name: bytearray() for name in streams}
    stopped: Stopped = ""
    peak = 0
    next_look = start
    with selectors.DefaultSelector() as selector:
        for name, stream in streams.items():
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, name)
        while selector.get_map() and not stopped:
            for key, _ in selector.select(_TICK_S):
                chunk = os.read(key.fd, 65_536)
                if not chunk:
                    selector.unregister(key.fileobj)
                    continue
                kept = output[key.data]
                kept += chunk[: out_bytes - len(kept) + 1]
                if len(kept) > out_bytes:
                    stopped = "output"
            now = time.perf_counter()
            if now - start > wall_s:
                stopped = stopped or "wall"
            if now >= next_look and not stopped:
                next_look = now + _TICK_S
                rss_kb, cpu = usage(child.pid)
                peak = max(peak, rss_kb)
                if rss_kb > mem_mb * 1024:
                    stopped = "memory"
                elif cpu > cpu_s:
                    stopped = "cpu"
        if not stopped:
            # Both pipes are closed: the command is over, or hides from us and is killed by the caller.
            try:
                child.wait(timeout=max(0.05, wall_s - (time.perf_counter() - start)))
            except subprocess.TimeoutExpired:
                stopped = "wall"
    return {name: bytes(data[:out_bytes]) for name, data in output.items()}, stopped, peak


def descendants(pid: int) -> list[int]:
    """`pid` and every process below it."""
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        try:
            tasks = os.listdir(f"/proc/{current}/task")
        except OSError:
            continue
        for task in tasks:
            with contextlib.suppress(OSError):
                queue += map(int, Path(f"/proc/{current}/task/{task}/children").read_text().split())
    return found


def usage(pid: int) -> tuple[int, float]:
    """Resident KiB and CPU seconds of `pid` and its descendants."""
    rss, ticks = 0, 0
    for each in descendants(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            rss += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * _PAGE_KB
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return rss, ticks / _HERTZ
