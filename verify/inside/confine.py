"""What a freshly forked child does to itself before it touches a candidate: own namespaces, limits, filter.

Three modes. `namespaces` (bubblewrap): its own PID namespace, capabilities dropped, in the mount namespace
that `verify.inside.scratch` keeps clean, or in another where the job needs a scratch folder of its own.
`container` (docker): nothing can be unshared, so signals are filtered to the child
itself and the server kills everything and wipes the scratch folder between checks. `none` (--unsafe): as
`container`, without its walls.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
from typing import Any

from verify.inside import linux, seccomp

CTL = 3  # the one descriptor besides 0, 1, 2 that a child keeps
DEFAULT_DISK_MB = 16
MACHINE = platform.machine()
MEGABYTE = 1 << 20
PROC_OOM = "self/oom_score_adj"
NAMESPACED_FILTER = seccomp.Filter(seccomp.program(MACHINE))  # assembled once, before the first fork


def address_space() -> int:
    """Bytes of address space in use now: what RLIMIT_AS must allow on top of the candidate's own memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def settle() -> None:
    """In the server, once: the limits that are the same for every check. Children inherit them."""
    linux.cap(resource.RLIMIT_NOFILE, 256)
    linux.cap(resource.RLIMIT_CORE, 0)
    linux.cap(resource.RLIMIT_MEMLOCK, 0)
    with contextlib.suppress(
        ValueError
    ):  # gVisor cannot set it; POSIX queues are refused by the filter anyway
        linux.cap(resource.RLIMIT_MSGQUEUE, 0)


def enter(mode: str, proc: int) -> None:
    """Before the job is known (in a spare child): a new session, first in line when memory is short.

    proc: descriptor of the server's /proc, which a check cannot see.
    """
    os.setsid()
    if mode != "namespaces":
        linux.prctl(linux.PR_SET_DUMPABLE, 1)  # our /proc files open to us; nobody hostile lives
    with contextlib.suppress(OSError):
        score = os.open(PROC_OOM, os.O_WRONLY, dir_fd=proc)
        os.write(score, b"1000")  # when the cgroup is full the kernel takes a candidate, never the server
        os.close(score)
    if mode != "namespaces":
        # Without namespaces a candidate can name the children that wait beside it, the driver of its own
        # tests among them; closed memory is what keeps it from writing there through /proc/PID/mem.
        linux.prctl(linux.PR_SET_DUMPABLE, 0)


def mount_scratch(disk_mb: int) -> None:
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOATIME | linux.MS_NODIRATIME
    linux.mount_tmpfs(b"/tmp", b"size=%dm,nr_inodes=%d,mode=0700" % (disk_mb, disk_mb * 256), flags)


def apply(limits: dict[str, Any], mode: str, baseline: int, *, private: bool) -> None:
    """With the job known: scratch, rlimits, no capabilities, seccomp. Then the candidate may run.

    private: not the scratch folder that the candidate of the same job uses (the driver of tests).
    """
    disk_mb: int = limits["disk_mb"]
    if mode == "namespaces":
        if private or disk_mb != DEFAULT_DISK_MB:
            linux.unshare(linux.CLONE_NEWNS)
            mount_scratch(disk_mb)
        linux.drop_capabilities()
        os.chdir("/tmp")
        linux.cap(resource.RLIMIT_NPROC, limits["processes"])
    linux.cap(resource.RLIMIT_AS, baseline + limits["mem_mb"] * MEGABYTE)
    linux.cap(resource.RLIMIT_CPU, max(1, -int(-limits["cpu_s"] // 1)))
    linux.cap(resource.RLIMIT_FSIZE, disk_mb * MEGABYTE)
    if mode == "namespaces":
        NAMESPACED_FILTER.install()
    else:
        seccomp.Filter(seccomp.program(MACHINE, os.getpid())).install()
