"""What an escape or a leftover would change on the host, looked at from the host.

with Canary() as canary:
    canary.words()                      # {{NAME}} replacements for a case
    before = canary.look()
    ...run a case...
    canary.differences(before)          # one line each, [] when clean
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/etc", "/root", "/home", "/usr/local/bin", "/")
SYSCTLS = ("kernel/hostname", "kernel/core_pattern", "kernel/domainname")
ENVIRONMENT = "TRIHEAD_ABUSE_CANARY"


@dataclass(frozen=True)
class Scene:
    """A snapshot. `own`: number of our descendants by depth-independent command, for processes left."""

    processes: int
    descriptors: int
    mounts: int
    ipc: str
    sysctls: str
    scratch: frozenset[str]


class Canary:
    """A planted file and secret, and snapshots of the host."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(6)
        self.secret = f"canary-{secrets.token_hex(12)}"
        self.folder = Path(tempfile.mkdtemp(prefix="trihead-canary-"))
        self.file = self.folder / "secret"
        self.file.write_text(self.secret)
        os.environ[ENVIRONMENT] = self.secret

    def __enter__(self) -> Canary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.environ.pop(ENVIRONMENT, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def words(self, backend: str) -> dict[str, str]:
        return {
            "CANARY": str(self.file),
            "FOLDER": str(self.folder),
            "SECRET": self.secret,
            "MARK": self.mark,
            "JUDGE": str(os.getpid()),
            "BACKEND": backend,
        }

    def look(self) -> Scene:
        ipc = []
        for kind in ("shm", "sem", "msg"):
            with contextlib.suppress(OSError):
                ipc.append(Path("/proc/sysvipc", kind).read_text())
        return Scene(
            processes=len(alive_below(os.getpid())) + len(_container_processes()),
            descriptors=len(os.listdir("/proc/self/fd")),
            mounts=_mounts(),
            ipc="".join(ipc),
            sysctls="".join(Path("/proc/sys", name).read_text() for name in SYSCTLS),
            scratch=frozenset(
                name for name in os.listdir(tempfile.gettempdir()) if name.startswith("trihead-")
            ),
        )

    def differences(self, before: Scene) -> list[str]:
        """What changed since `before` and must not have."""
        found = []
        for place in (*PLACES, str(self.folder)):
            path = Path(place, f"trihead-escape-{self.mark}")
            if path.exists():
                found.append(f"ESCAPE: made {path}")
                path.unlink()
        try:
            if self.file.read_text() != self.secret or sorted(os.listdir(self.folder)) != ["secret"]:
                found.append("ESCAPE: the planted folder was changed")
        except OSError:
            found.append("ESCAPE: the planted file is gone")
        after = self.look()
        if after.sysctls != before.sysctls:
            found.append("ESCAPE: a sysctl was changed")
        if after.ipc != before.ipc:
            found.append("LEFT: a SysV object")
        if after.mounts > before.mounts:
            found.append(f"LEFT: {after.mounts - before.mounts} mounts")
        if after.processes > before.processes:
            found.append(f"LEFT: {after.processes - before.processes} processes")
        return found


def _mounts() -> int:
    """Mounts on this host, without the daemon's own: its containers come and go."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sum("docker" not in point for point in points)


def alive_below(pid: int) -> list[psutil.Process]:
    """Our living descendants, zombies not counted."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _container_processes() -> list[str]:
    """Processes in containers that we started; they are the daemon's descendants, not ours."""
    if shutil.which("docker") is None:
        return []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        label = f"label=trihead.verify={os.getpid()}"
        names = _output(["docker", "ps", "--quiet", "--filter", label]).split()
        lines = [_output(["docker", "top", name, "-eo", "pid"]).splitlines()[1:] for name in names]
        return [line for group in lines for line in group]
    return []


def _output(line: list[str]) -> str:
    return subprocess.run(line, check=True, capture_output=True, text=True, timeout=30).stdout
