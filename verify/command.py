"""Test commands: a private copy of a workspace inside a fresh sandbox, and what its exit code says.

The workspace is packed here (`verify.archive`) and unpacked inside the sandbox on a tmpfs. Nothing comes
back but output and an exit code, so the host's copy cannot be touched and its disk cannot be filled.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time

from verify.admission import UnsupportedError
from verify.archive import pack
from verify.inside.wire import HEADER
from verify.interpreter import interpreter
from verify.limits import Limits
from verify.request import CommandCheck
from verify.sandbox import Sandbox, SandboxError
from verify.verdict import Status, Verdict

PYTEST_NOTHING, PYTEST_USAGE, PYTEST_INTERRUPTED = 5, 4, 2
STARTED = b"\0started\n"
# Runs inside: limits, unpack, then become the command. argv: folder, cpu seconds, memory bytes, command...
UNPACK = r"""
import io, os, resource, sys, tarfile
folder, cpu, memory, *command = sys.argv[1:]
size = int.from_bytes(sys.stdin.buffer.read(4), "big")
data = io.BytesIO(sys.stdin.buffer.read(size))
os.chdir(folder)
with tarfile.open(fileobj=data) as archive:
    archive.extractall(".", filter="tar") if hasattr(tarfile, "tar_filter") else archive.extractall(".")
null = os.open("/dev/null", os.O_RDONLY)
os.dup2(null, 0)
limits = {resource.RLIMIT_CPU: int(cpu), resource.RLIMIT_AS: int(memory), resource.RLIMIT_CORE: 0}
for limit, value in limits.items():
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))
os.environ["HOME"] = "/tmp"
os.write(2, b"\0started\n")
try:
    os.execvp(command[0], command)
except OSError as error:
    print(error.strerror, file=sys.stderr)
    sys.exit(127)
"""


def command_check(request: CommandCheck, sandbox: Sandbox) -> Verdict:
    """Raises UnsupportedError for a request that cannot be run, SandboxError when the sandbox breaks."""
    if not request.argv:
        raise UnsupportedError("no test command: nothing would be tested")
    archive = pack(request)
    ran = run_command(_command_line(request.argv), archive, request.limits, sandbox)
    return _verdict(request, *ran)


def _command_line(argv: tuple[str, ...]) -> tuple[str, ...]:
    """`python` and `pytest` mean the running environment's: its interpreter with its site-packages."""
    python = interpreter()
    name = argv[0]
    if name == "pytest":
        argv = ("python", "-m", "pytest", *argv[1:])
        name = "python"
    if not re.fullmatch(r"python(3(\.\d+)?)?", name):
        return argv
    flags = (python.binary, "-s", "-S")
    rest = list(argv[1:])
    setup = f"import sys, runpy; sys.path[:0] = {['', *python.site]!r}; "
    if rest[:1] == ["-m"] and len(rest) > 1:
        run = f"sys.argv = {rest[1:]!r}; runpy.run_module({rest[1]!r}, run_name='__main__', alter_sys=True)"
    elif rest[:1] == ["-c"] and len(rest) > 1:
        run = f"sys.argv = {['-c', *rest[2:]]!r}; exec(compile({rest[1]!r}, '<string>', 'exec'))"
    elif rest and not rest[0].startswith("-"):
        folder = os.path.dirname(rest[0])
        run = (
            f"sys.argv = {rest!r}; sys.path[0] = {folder!r}; runpy.run_path({rest[0]!r}, run_name='__main__')"
        )
    else:
        return (*flags, *rest)
    return (*flags, "-c", setup + run)


class Tail:
    """The last `cap` bytes of a stream, and how many there were."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.total = 0
        self.kept = bytearray()

    def add(self, data: bytes) -> None:
        self.total += len(data)
        self.kept += data
        if len(self.kept) > 2 * self.cap:
            del self.kept[: -self.cap]

    def text(self) -> str:
        return bytes(self.kept[-self.cap :]).decode("utf-8", "replace")


def run_command(
    argv: tuple[str, ...], archive: bytes, limits: Limits, sandbox: Sandbox
) -> tuple[Status | None, int, Tail, Tail, float]:
    """(status when a limit ended it, exit code, stdout, stderr, wall ms) of a command in a fresh sandbox."""
    memory = limits.mem_mb << 20
    cpu = max(1, -int(-limits.cpu_s // 1))
    line = ("-c", UNPACK, sandbox.work_folder(), str(cpu), str(memory), *argv)
    start = time.monotonic()
    started = sandbox.command(line, limits, interpreter().site)
    try:
        out, err = Tail(limits.out_bytes), Tail(limits.out_bytes)
        end = _pump(started.process, archive, out, err, start + limits.wall_s, limits.out_bytes)
        oom = started.oom_kills() > 0
        code = started.process.returncode if end is None else -1
    finally:
        started.close()
    wall_ms = (time.monotonic() - start) * 1_000
    if err.total < len(STARTED) and end is None:
        raise SandboxError(f"the sandbox did not start the command: {err.text().strip()[-300:]}")
    if oom and end is None and code != 0:
        end = Status.OOM
    return end, code, out, err, wall_ms


def _pump(
    process: subprocess.Popen[bytes], archive: bytes, out: Tail, err: Tail, deadline: float, cap: int
) -> Status | None:
    """Feed the archive, collect output, watch the clock. A flood ends it at 64 times the cap; the tail is
    kept.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    view = memoryview(HEADER.pack(len(archive)) + archive)
    os.set_blocking(process.stdin.fileno(), False)
    watch = select.poll()
    watch.register(process.stdin.fileno(), select.POLLOUT)
    tails = {process.stdout.fileno(): out, process.stderr.fileno(): err}
    for fd in tails:
        watch.register(fd, select.POLLIN)
    open_tails = set(tails)
    while open_tails:
        left = deadline - time.monotonic()
        if left <= 0:
            return Status.TIMEOUT
        for fd, event in watch.poll(min(left, 0.2) * 1_000 + 1):
            if fd in tails:
                part = os.read(fd, 1 << 16)
                if not part:
                    watch.unregister(fd)
                    open_tails.discard(fd)
                tails[fd].add(part)
                if tails[fd].total > 64 * cap:
                    return Status.OUTPUT_LIMIT
                continue
            if event & (select.POLLERR | select.POLLHUP):
                view = view[len(view) :]
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                view = view[os.write(fd, view[: 1 << 16]) :] if view else view
            if not view:
                watch.unregister(fd)
                process.stdin.close()
        if process.poll() is not None and not watch.poll(0):
            break  # something left behind holds the pipes open
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.05, deadline - time.monotonic()))
        return None
    return Status.TIMEOUT


def _verdict(
    request: CommandCheck, end: Status | None, code: int, out: Tail, err: Tail, wall_ms: float
) -> Verdict:
    stdout = out.text()
    stderr = err.text().replace(STARTED.decode(), "", 1)
    passed, total = counts(stdout)
    status, detail = end, ""
    pytest = "pytest" in " ".join(request.argv[:3])
    limits = request.limits
    if end is Status.TIMEOUT:
        detail = f"the command did not end within {limits.wall_s:g} s"
    elif end is Status.OOM:
        detail = f"used more than {limits.mem_mb} MiB of memory"
    elif end is Status.OUTPUT_LIMIT:
        detail = f"printed more than {64 * limits.out_bytes} bytes"
    elif code == 0:
        status = Status.PASSED
        passed, total = max(passed, 1), max(total, 1)
    elif pytest and code in (PYTEST_NOTHING, PYTEST_USAGE):
        status, detail = Status.UNSUPPORTED, "pytest found no tests to run" + _hint(stderr)
    elif code in (126, 127):
        status, detail = Status.UNSUPPORTED, f"{request.argv[0]} cannot be run in the sandbox" + _hint(stderr)
    elif abs(code) % 128 in (signal.SIGXCPU, signal.SIGKILL):
        status, detail = Status.TIMEOUT, f"killed (more than {limits.cpu_s:g} s of CPU time?)"
    elif pytest and code == PYTEST_INTERRUPTED:
        status, detail = Status.COMPILE_ERROR, "the tests could not be collected"
    else:
        status, detail = Status.FAILED, f"exit code {code}"
    assert status is not None
    total = max(total, 1)
    if status is not Status.PASSED:
        passed = min(passed, total - 1)
    return Verdict(
        status=status,
        passed=passed,
        total=total,
        detail=detail,
        eval_ms=wall_ms,
        stdout=stdout,
        stderr=stderr,
        stdout_truncated=out.total > out.cap,
        stderr_truncated=err.total > err.cap,
    )


def _hint(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""


def counts(stdout: str) -> tuple[int, int]:
    """(passed, total) from pytest's last line, else (0, 0). Untrusted: it only fills the numbers."""
    found = re.findall(r"(\d{1,6}) (passed|failed|errors?)\b", stdout[-400:])
    numbers = {"passed": 0, "failed": 0, "error": 0}
    for number, word in found:
        numbers[word.rstrip("s") if word.startswith("error") else word] = int(number)
    return numbers["passed"], sum(numbers.values())
