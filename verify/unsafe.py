"""No sandbox: the fork server as a plain process, with rlimits and the seccomp filter. For machines where
nothing else works, and only behind an explicit `unsafe`.

A candidate runs as you: it can read what you can read and write where you can write. It cannot open sockets,
trace or signal other processes (seccomp), and what it starts is killed with it where the kernel lets us find
it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence

from verify.interpreter import ENVIRONMENT, FLAGS, interpreter
from verify.limits import Limits
from verify.sandbox import Probe, Sandbox, SandboxError, Started


class Subprocess(Sandbox):
    name = "subprocess"
    mode = "none"

    @functools.cached_property
    def _probe(self) -> Probe:
        try:
            python = interpreter()
        except SandboxError as error:
            return Probe(self.name, False, str(error), "unset TRIHEAD_PYTHON")
        return Probe(
            self.name,
            True,
            f"runs {python.binary} without walls",
            "",
            platform.release(),
            "rlimits, seccomp only",
        )

    def probe(self) -> Probe:
        return self._probe

    def serve(self, argv: Sequence[str], search_path: Sequence[str]) -> Started:
        del search_path  # everything is readable anyway
        return _start(argv, tempfile.mkdtemp(prefix="trihead-"))

    def command(self, argv: Sequence[str], limits: Limits, search_path: Sequence[str]) -> Started:
        del limits, search_path
        folder = tempfile.mkdtemp(prefix="trihead-")
        return _start([word if word != self.work_folder() else folder for word in argv], folder)

    def work_folder(self) -> str:
        return "<work>"


def _start(argv: Sequence[str], folder: str) -> Started:
    pipe = subprocess.PIPE
    environment = {**ENVIRONMENT, "HOME": folder, "TMPDIR": folder}
    process = subprocess.Popen(
        [interpreter().binary, *FLAGS, *argv],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        cwd=folder,
        env=environment,
        bufsize=0,
        start_new_session=True,
    )

    def close() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        shutil.rmtree(folder, ignore_errors=True)

    return Started(process, close)
