"""Memory and process caps for a whole process tree, through cgroup v1 or v2 where we may write there.

    group = create()                # None where no hierarchy is writable: then only rlimits hold
    Popen([*group.enter(), ...])    # a prefix that moves itself into the group before it becomes the command
    group.limit(mem_mb, processes); group.oom_kills(); group.remove()

Groups are named after our process, so that a later run can sweep what a killed one left behind.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_NAME = re.compile(r"trihead-(\d+)-\d+")
_numbers = itertools.count()


class Group:
    """One group: a folder a controller (v1), or one folder for all (v2)."""

    def __init__(self, version: int, folders: dict[str, Path]) -> None:
        self.version = version
        self.folders = folders
        self._events = -1  # kept open: it is read after each check

    @property
    def label(self) -> str:
        return f"cgroup v{self.version}"

    def enter(self) -> tuple[str, ...]:
        """A command prefix: the shell joins the group, then becomes the command."""
        files = dict.fromkeys(str(folder / "cgroup.procs") for folder in self.folders.values())
        joins = "".join(f'echo $$ > "{file}" || exit 71; ' for file in files)
        return ("/bin/sh", "-c", f'{joins}exec "$@"', "sh")

    def limit(self, mem_mb: int, processes: int) -> None:
        memory, pids = self.folders["memory"], self.folders["pids"]
        size = str(mem_mb << 20)
        if self.version == 2:
            (memory / "memory.max").write_text(size)
            with contextlib.suppress(OSError):
                (memory / "memory.swap.max").write_text("0")
        else:
            swap = memory / "memory.memsw.limit_in_bytes"
            with contextlib.suppress(
                OSError
            ):  # absent without swap accounting; when growing it must go first
                swap.write_text(size)
            (memory / "memory.limit_in_bytes").write_text(size)
            with contextlib.suppress(OSError):
                swap.write_text(size)
        (pids / "pids.max").write_text(str(processes))

    def oom_kills(self) -> int:
        """How often the kernel killed in this group for want of memory."""
        if self._events < 0:
            file = "memory.events" if self.version == 2 else "memory.oom_control"
            self._events = os.open(self.folders["memory"] / file, os.O_RDONLY | os.O_CLOEXEC)
        for line in os.pread(self._events, 4_096, 0).splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
        return 0

    def remove(self) -> None:
        """Remove the folders, once the kernel has let go of the last process."""
        if self._events >= 0:
            os.close(self._events)
            self._events = -1
        for folder in dict.fromkeys(self.folders.values()):
            for _ in range(200):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.005)
                else:
                    break


@functools.cache
def _parents() -> tuple[int, dict[str, Path]] | None:
    """(version, controller -> folder that we can make groups in), tried by making one."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    places: dict[str, Path] = {}
    own: dict[str, str] = {}
    unified = ""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers:
            own.update(dict.fromkeys(controllers.split(","), path))
        else:
            unified = path
    for line in mounts:
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup":
            for name in {"memory", "pids"} & set(options.split(",")):
                places.setdefault(name, Path(place + own.get(name, "/")))
        elif kind == "cgroup2" and place == str(_ROOT):
            folder = Path(place + unified)
            if {"memory", "pids"} <= set(_read(folder / "cgroup.subtree_control").split()):
                places = {"memory": folder, "pids": folder}
                break
    if set(places) != {"memory", "pids"}:
        return None
    version = 2 if places["memory"] == places["pids"] else 1
    try:
        _sweep(places)
        trial = _make(version, places)
        trial.limit(64, 8)
        trial.remove()
    except OSError:
        return None
    return version, places


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _make(version: int, places: dict[str, Path]) -> Group:
    name = f"trihead-{os.getpid()}-{next(_numbers)}"
    group = Group(version, {controller: place / name for controller, place in places.items()})
    for folder in dict.fromkeys(group.folders.values()):
        folder.mkdir()
    return group


def _sweep(places: dict[str, Path]) -> None:
    """Remove the empty groups of processes that are gone."""
    for place in dict.fromkeys(places.values()):
        for folder in place.iterdir():
            match = _NAME.fullmatch(folder.name)
            if match and not Path("/proc", match[1]).exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()


def create() -> Group | None:
    """A fresh group, or None where none can be made (then rlimits are all there is)."""
    parents = _parents()
    if parents is None:
        return None
    try:
        return _make(*parents)
    except OSError:
        return None
