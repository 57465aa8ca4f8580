"""Empties a scratch folder that cannot be replaced by a new one: in a container, and with --unsafe."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct

FS_IOC_SETFLAGS = 0x40086602


def wipe(folder: str) -> None:
    """Empty a scratch folder whatever its depth, modes and symlinks. Nothing is followed out of it."""
    os.chmod(folder, 0o700)
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    _forget(root)
    doomed = 0
    try:
        pending = [entry.name for entry in os.scandir(root)]
        while pending:
            name = pending.pop()
            info = os.stat(name, dir_fd=root, follow_symlinks=False)
            if not stat.S_ISDIR(info.st_mode):
                os.unlink(name, dir_fd=root)
                continue
            os.chmod(name, 0o700, dir_fd=root)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
            for entry in os.scandir(inner):  # lift the members to the top, so that depth never matters
                if entry.is_dir(follow_symlinks=False):
                    os.chmod(entry.name, 0o700, dir_fd=inner)  # a folder moves only if we may write to it
                doomed += 1
                lifted = f".doomed-{os.getpid()}-{doomed}"
                os.rename(entry.name, lifted, src_dir_fd=inner, dst_dir_fd=root)
                pending.append(lifted)
            os.close(inner)
            os.rmdir(name, dir_fd=root)
    finally:
        os.utime(root, (0, 0))
        os.close(root)


def _forget(folder: int) -> None:
    """Clear what a folder itself can carry from one check to the next: attributes, lists of access, flags."""
    for name in os.listxattr(folder):
        with contextlib.suppress(OSError):
            os.removexattr(folder, name)
    with contextlib.suppress(OSError):
        fcntl.ioctl(folder, FS_IOC_SETFLAGS, struct.pack("l", 0))
