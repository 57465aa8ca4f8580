"""The judge's end of a warm fork server: start it in a sandbox, send jobs, get replies, heal it.

    server = ForkServer(sandbox, preload=("numpy",))
    reply = server.call({"kind": "cases", ...}, limits)
    server.close()

The server's source travels over its standard input (`bundle`), so the sandbox needs nothing of ours on its
disk. A server that dies, hangs past the job's limit or answers nonsense is killed and the job sent once more
to a fresh one; a job that breaks two servers ends in `SandboxError`. It is replaced after `RECYCLE` jobs in
any case.
"""

from __future__ import annotations

import contextlib
import functools
import marshal
import os
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verify.codec import CodecError, decode
from verify.inside.wire import HEADER
from verify.interpreter import interpreter
from verify.limits import Limits
from verify.sandbox import Sandbox, SandboxError, Started

RECYCLE = 2_000
START_S = 30.0
GRACE_S = 3.0  # beyond the job's own wall limit, before the server itself counts as stuck
_MODULES = (
    "codec",
    "inside.wire",
    "inside.linux",
    "inside.seccomp",
    "inside.confine",
    "inside.scratch",
    "inside.harness",
    "inside.driver",
    "inside.child",
    "inside.template",
    "inside.wipe",
    "inside.warm",
    "inside.server",
    "inside.start",
)
# What most candidates import, so that no check pays for it. Every module here costs every fork: its page
# tables and mappings are copied and torn down (hashlib alone, with OpenSSL, 0.5 ms a check). `preload` adds
# others.
STANDARD = [
    "abc",
    "bisect",
    "collections",
    "collections.abc",
    "contextlib",
    "copy",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "io",
    "itertools",
    "linecache",
    "math",
    "numbers",
    "operator",
    "random",
    "re",
    "string",
    "struct",
    "sys",
    "textwrap",
    "time",
    "traceback",
    "types",
    "typing",
]
BOOT = """
import os, sys
def read(n):
    data = b""
    while len(data) < n:
        part = os.read(0, n - len(data))
        if not part:
            sys.exit(3)
        data += part
    return data
number = lambda: int.from_bytes(read(4), "big")
for _ in range(number()):
    name, source = read(number()).decode(), read(number()).decode()
    module = type(sys)(name)
    module.__path__ = []
    sys.modules[name] = module
    exec(compile(source, "<" + name + ">", "exec"), module.__dict__)
sys.modules["verify.inside.start"].main()
"""


@functools.cache
def bundle() -> bytes:
    """The modules that run inside, each as length-prefixed name and source."""
    root = Path(__file__).parent
    pieces = [("verify", ""), ("verify.inside", "")]
    pieces += [(f"verify.{name}", (root / (name.replace(".", "/") + ".py")).read_text()) for name in _MODULES]
    packed = b"".join(
        HEADER.pack(len(raw)) + raw for name, source in pieces for raw in (name.encode(), source.encode())
    )
    return HEADER.pack(len(pieces)) + packed


class ServerDiedError(Exception):
    """The stream broke; the message says how. Retried once, then a SandboxError."""


class ForkServer:
    """One server and its stream. Not thread-safe: the checker gives each to one thread at a time."""

    def __init__(self, sandbox: Sandbox, preload: Sequence[str] = ()) -> None:
        self.sandbox = sandbox
        self.preload = tuple(preload)
        self.python = ""
        self.starts = 0
        self._started: Started | None = None
        self._jobs = 0
        self._ooms = 0

    def start(self) -> None:
        """Start the server now, so that the first check does not pay for it. Raises SandboxError."""
        if self._started is not None:
            return
        path = interpreter().site if self.preload else ()
        self._started = self.sandbox.serve(("-c", BOOT), path)
        self.starts += 1
        config = {
            "mode": self.sandbox.mode,
            "devices": list(self.sandbox.devices),
            "path": list(path),
            "preload": [*STANDARD, *self.preload],
        }
        hello = marshal.dumps(config)
        deadline = time.monotonic() + START_S
        try:
            self._send(bundle() + HEADER.pack(len(hello)) + hello, deadline)
            greeting = decode(self._receive(1 << 16, deadline))
            self.python = greeting["python"]
        except (ServerDiedError, CodecError, KeyError, TypeError) as error:
            said = self._last_words()
            self.stop()
            raise SandboxError(
                f"the fork server in {self.sandbox.name} did not start: {said or error}"
            ) from None
        self._jobs = 0
        self._ooms = self._started.oom_kills()

    def call(self, job: dict[str, Any], limits: Limits, runs: int = 1) -> dict[str, Any]:
        """Send one job and return its reply, with `oom` True when the kernel killed for memory meanwhile.

        runs: how often the job may use its wall limit. Raises SandboxError when two servers break on it.
        """
        payload = marshal.dumps(job)  # the trusted direction; what comes back is in the strict codec
        for attempt in (1, 2):
            self.start()
            try:
                return self._attempt(payload, limits, runs)
            except ServerDiedError as error:
                said = self._last_words()
                self.stop()
                if attempt == 2:
                    raise SandboxError(
                        f"the fork server broke twice on this check: {said or error}"
                    ) from None
        raise AssertionError("unreachable")

    def _attempt(self, payload: bytes, limits: Limits, runs: int) -> dict[str, Any]:
        started = self._started
        assert started is not None
        try:
            started.resize(limits)
        except OSError as error:
            raise ServerDiedError(f"its limits cannot be set: {error}") from None
        deadline = time.monotonic() + limits.wall_s * runs + GRACE_S
        self._send(HEADER.pack(len(payload)) + payload, deadline)
        raw = self._receive((64 + 8) * limits.out_bytes + (1 << 24), deadline)
        try:
            reply = decode(raw)
        except CodecError as error:
            raise ServerDiedError(f"a reply that does not decode: {error}") from None
        kills = started.oom_kills()
        reply["oom"] = kills > self._ooms
        self._ooms = kills
        self._jobs += 1
        if self._jobs >= RECYCLE:
            self.stop()
        return dict(reply)

    def stop(self) -> None:
        """Kill the server and all that runs in its sandbox. The next call starts a fresh one."""
        if self._started is not None:
            self._started.close()
            self._started = None

    close = stop

    @property
    def pid(self) -> int | None:
        """Host process id of the sandbox, for tests that kill it."""
        return self._started.process.pid if self._started else None

    def kill_process(self) -> None:
        """Kill the sandbox's process and leave our end as it is, as a crash would. For tests."""
        if self._started is not None:
            self._started.process.kill()

    def _send(self, data: bytes, deadline: float) -> None:
        assert self._started is not None
        assert self._started.process.stdin is not None
        fd = self._started.process.stdin.fileno()
        os.set_blocking(fd, False)
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ServerDiedError("it does not read") from None
                select.select((), (fd,), (), left)
            except OSError as error:
                raise ServerDiedError(f"it ended ({error.strerror})") from None

    def _receive(self, cap: int, deadline: float) -> bytes:
        size = HEADER.unpack(self._read(HEADER.size, deadline))[0]
        if size > cap:
            raise ServerDiedError(f"a reply of {size} bytes")
        return self._read(size, deadline)

    def _read(self, count: int, deadline: float) -> bytes:
        assert self._started is not None
        assert self._started.process.stdout is not None
        fd = self._started.process.stdout.fileno()
        watch = select.poll()
        watch.register(fd, select.POLLIN)
        data = bytearray()
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not watch.poll(left * 1_000 + 1):
                raise ServerDiedError("it did not answer in time")
            part = os.read(fd, min(count - len(data), 1 << 20))
            if not part:
                raise ServerDiedError("it ended")
            data += part
        return bytes(data)

    def _last_words(self) -> str:
        """The end of the server's own stderr (candidates have another), as one line."""
        if self._started is None or self._started.process.stderr is None:
            return ""
        fd = self._started.process.stderr.fileno()
        os.set_blocking(fd, False)
        time.sleep(0.05)
        with contextlib.suppress(OSError):
            lines = os.read(fd, 1 << 16).decode("utf-8", "replace").strip().splitlines()
            return " ".join(lines[-1:])
        return ""


def running_python() -> str:
    return ".".join(map(str, sys.version_info[:3]))
