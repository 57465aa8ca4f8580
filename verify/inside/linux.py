"""Namespaces, mounts, capabilities and prctl through ctypes, for the fork server and its children.

Every function raises OSError with the call's name. Python 3.12 has `os.unshare`; 3.11 does not.
"""

from __future__ import annotations

import ctypes
import os
import resource

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000

MS_RDONLY, MS_NOSUID, MS_NODEV = 1, 2, 4
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 4, 38, 36

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)


def _checked(name: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    _checked("unshare", _libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, flags: int) -> None:
    _checked("setns", _libc.setns(ctypes.c_int(fd), ctypes.c_int(flags)))


def mount_tmpfs(target: str, options: str, flags: int = MS_NOSUID | MS_NODEV) -> None:
    _checked("mount", _libc.mount(b"tmpfs", target.encode(), b"tmpfs", flags, options.encode()))


def prctl(option: int, value: int) -> None:
    _checked("prctl", _libc.prctl(option, value, 0, 0, 0))


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def drop_capabilities() -> None:
    """Empty the effective, permitted, inheritable and (through the kernel) ambient sets of this thread."""
    header = _CapHeader(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    _checked("capset", _libc.capset(ctypes.byref(header), ctypes.byref(data)))


def cap(limit: int, value: int) -> None:
    """Set a resource limit, soft and hard, never above what is allowed already."""
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))
