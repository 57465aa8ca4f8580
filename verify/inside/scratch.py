"""The scratch folder that checks use one after the other, and the proof that none finds a trace of another.

A mount namespace and a tmpfs for each check cost more CPU than the check itself (`docs/log.md`), and most
checks touch no file. So the template makes one mount namespace, in which `/proc` is empty and `/tmp` a small
tmpfs, and its children share it. It is safe because

- checks of one server never overlap: the last process of a check is gone, its PID namespace with it, before
  `renew` is called, and no other check has begun;
- everything else in that namespace is read-only, device nodes included, and only mounts of ours exist:
  candidates have no capability to make one;
- the tmpfs is compared with its own state when it was new, in all that a candidate can change and a later
  one can see: entries, blocks, inodes, mode, owner, times, extended attributes (access lists among them) and
  inode flags. Where anything differs it is thrown away and a new one is mounted.

Below the tmpfs lies an empty read-only one, so that the moment between the two shows nothing to write to.
SysV objects and POSIX queues, which an IPC namespace would keep apart, are refused by seccomp.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from verify.inside import confine, linux

FS_IOC_GETFLAGS = 0x80086601
State = tuple[object, ...]


class Scratch:
    """Made by the template before its first fork. Raises OSError where the namespace cannot be made."""

    def __init__(self) -> None:
        linux.unshare(linux.CLONE_NEWNS)
        linux.keep_mounts_private()
        linux.mount_tmpfs(b"/proc", b"size=4k,mode=0555", linux.MS_RDONLY)
        linux.mount_tmpfs(b"/tmp", b"size=4k,mode=0555", linux.MS_RDONLY)
        self._mount()

    def renew(self) -> None:
        """Give the next check a folder that no check has touched."""
        if state(self.folder) != self.clean:
            os.close(self.folder)
            linux.detach(b"/tmp")
            self._mount()

    def _mount(self) -> None:
        confine.mount_scratch(confine.DEFAULT_DISK_MB)
        self.folder = os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME)
        self.clean = state(self.folder)


def state(folder: int) -> State:
    """All that a candidate could change of an empty folder on a tmpfs of its own, and another could read."""
    info = os.fstat(folder)
    usage = os.fstatvfs(folder)
    flags = b""
    with contextlib.suppress(OSError):  # kernels before 6.0 have no flags here
        flags = fcntl.ioctl(folder, FS_IOC_GETFLAGS, bytes(8))
    return (
        *(info.st_mode, info.st_uid, info.st_gid, info.st_nlink, info.st_size),
        *(info.st_atime_ns, info.st_mtime_ns, info.st_ctime_ns),
        *(usage.f_bfree, usage.f_ffree, tuple(os.listxattr(folder)), flags),
    )
