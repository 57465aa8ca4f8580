"""One Bend worker: its box, its stream, its end.

It sees hostile input, so it is treated as hostile: it runs inside bubblewrap and under its own seccomp
filter, and whoever is late or gone is killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import subprocess
import time
from pathlib import Path

from verify import starter
from verify.bend import box, process
from verify.bend.toolchain import INSTALL, Unavailable

CHECKS = 1000
"""Programs a worker answers before it is replaced: the compiler interns names for ever."""

HEAP_MB = 1024
"""Address space of a worker beyond HVM's buffers and its stack; what a compile bomb can take."""

_MAX_RESPONSE = 16 << 20
_START_S = 15.0


class Died(Exception):
    """The worker's stream ended."""


class Late(Exception):
    """The deadline passed."""


class Worker:
    """One worker process. Not thread-safe: the pool hands it to one thread at a time."""

    def __init__(self, path: Path) -> None:
        arguments = [str(CHECKS), str(HEAP_MB << 20)]
        boxed = box.wrap(["/worker", *arguments], read_only={str(path): "/worker"}, env={}, scratch_mb=1)
        self.isolation = "bubblewrap+seccomp" if boxed else "seccomp"
        self.checks = 0
        self._closed = False
        try:
            self._process = starter.popen(
                boxed or [str(path), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"{path} cannot be started: {error.strerror}") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._write_fd = self._process.stdin.fileno()
        self._read_fd = self._process.stdout.fileno()
        os.set_blocking(self._write_fd, False)
        os.set_blocking(self._read_fd, False)
        try:
            ready = self._receive(time.monotonic() + _START_S)
        except (Died, Late):
            self.close()
            raise Unavailable(
                f"{path} does not start ({self.isolation}, exit code {self._process.returncode})",
                f"rebuild it: `{INSTALL} --force`",
            ) from None
        if ready != b"ready":
            self.close()
            raise Unavailable(f"{path} is not our worker", f"rebuild it: `{INSTALL} --force`")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def usable(self) -> bool:
        return not self._closed and self.checks < CHECKS and self._process.poll() is None

    def ask(self, request: bytes, wall_s: float) -> bytes:
        """The response to one request. Raises Died or Late, after which the worker must be closed."""
        self.checks += 1
        deadline = time.monotonic() + wall_s
        self._send(struct.pack("<I", len(request)) + request, deadline)
        return self._receive(deadline)

    def close(self) -> None:
        """Kill the worker and reap it. Safe to repeat."""
        if self._closed:
            return
        self._closed = True
        process.kill_group(self._process.pid)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()

    def exit_code(self) -> int:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        return self._process.poll() or 0

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._write_fd, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._write_fd, view) :]
            except BrokenPipeError:
                raise Died from None
            except BlockingIOError:
                continue

    def _receive(self, deadline: float) -> bytes:
        size = struct.unpack("<I", self._exactly(4, deadline))[0]
        if size > _MAX_RESPONSE:
            raise Died
        return self._exactly(size, deadline)

    def _exactly(self, size: int, deadline: float) -> bytes:
        chunks: list[bytes] = []
        while size:
            self._wait(self._read_fd, select.POLLIN, deadline)
            try:
                chunk = os.read(self._read_fd, min(size, 1 << 16))
            except BlockingIOError:
                continue
            if not chunk:
                raise Died
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    @staticmethod
    def _wait(fd: int, event: int, deadline: float) -> None:
        poller = select.poll()
        poller.register(fd, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            raise Late
