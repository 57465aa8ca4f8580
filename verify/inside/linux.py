"""Namespaces, mounts, capabilities and prctl through ctypes, for the fork server and its children.

Every function raises OSError with the call's name. Python 3.12 has `os.unshare`; 3.11 does not. Function
pointers and structures are made at import: a child pays a page fault for every page that it is the first to
touch.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Sequence

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOATIME, MS_NODIRATIME = 1, 2, 4, 1024, 2048
MS_NOEXEC, MS_REMOUNT, MS_BIND = 8, 32, 4096
MS_REC, MS_PRIVATE, MS_RELATIME = 1 << 14, 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38

_libc = ctypes.CDLL(None, use_errno=True)
_unshare, _setns, _mount, _prctl, _capset = _libc.unshare, _libc.setns, _libc.mount, _libc.prctl, _libc.capset
_umount = _libc.umount2
_mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
_CAP_HEADER = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
_NO_CAPS = (ctypes.c_uint32 * 6)()


def _fail(name: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    if _unshare(flags):
        _fail("unshare")


def setns(fd: int, flags: int) -> None:
    if _setns(fd, flags):
        _fail("setns")


def mount_tmpfs(target: bytes, options: bytes, flags: int = MS_NOSUID | MS_NODEV) -> None:
    if _mount(b"tmpfs", target, b"tmpfs", flags, options):
        _fail("mount")


def keep_mounts_private() -> None:
    """No mount of ours shows in another mount namespace."""
    if _mount(None, b"/", None, MS_REC | MS_PRIVATE, None):
        _fail("mount")


def seal_devices(paths: Sequence[str]) -> None:
    """In a mount namespace of our own: bound device nodes' metadata read-only; the devices go on working.

    Its inode is the host's, and a candidate that runs as the host's root, by whatever number inside, owns it
    and could change its mode and times. Flags of the mount that are there are locked and must be given again.
    """
    unshare(CLONE_NEWNS)
    for path in paths:
        kept = os.statvfs(path).f_flag
        flags = kept & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)
        if kept & os.ST_RELATIME:
            flags |= MS_RELATIME
        if _mount(None, path.encode(), None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, None):
            _fail("mount")


def detach(target: bytes) -> None:
    """Take the topmost mount off `target`; it ends with the last process that stands in it."""
    if _umount(target, MNT_DETACH):
        _fail("umount")


def prctl(option: int, value: int, third: int = 0) -> None:
    if _prctl(option, value, third, 0, 0):
        _fail("prctl")


def drop_capabilities() -> None:
    """Empty the effective, permitted, inheritable and (through the kernel) ambient sets of this thread."""
    if _capset(_CAP_HEADER, _NO_CAPS):
        _fail("capset")


def cap(limit: int, value: int) -> None:
    """Set a resource limit, soft and hard, never above what is allowed already."""
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))
