"""A workspace as one archive, for a private copy in a sandbox.

Regular files, folders and symlinks as they are, nothing followed; protected paths come from the pristine
folder.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

from verify.admission import UnsupportedError
from verify.request import CommandCheck

_SKIPPED = frozenset(
    (".git", "__pycache__", ".venv", "node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache")
)


def pack(request: CommandCheck) -> bytes:
    """The workspace as an uncompressed tar, protected paths from `pristine`. Raises UnsupportedError."""
    workspace = request.workspace
    if not workspace.is_dir():
        raise UnsupportedError(f"the workspace {workspace} is not a folder")
    if request.protected and request.pristine is None:
        raise UnsupportedError("protected paths need a pristine folder to take them from")
    protected = [_relative(name) for name in request.protected]
    room = request.limits.disk_mb << 20
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        room = _add(archive, workspace, "", room, skip=protected)
        for name in protected:
            assert request.pristine is not None
            source = request.pristine / name
            if not os.path.lexists(source):
                raise UnsupportedError(f"the protected path {name} is not in {request.pristine}")
            if _through_symlink(request.pristine, name):
                raise UnsupportedError(f"the protected path {name} leads through a symlink")
            _add_parents(archive, name)
            if source.is_dir() and not source.is_symlink():
                room = _add(archive, source, name, room, skip=[])
            else:
                room = _add_one(archive, source, name, room)
    return buffer.getvalue()


def _relative(name: str) -> str:
    path = os.path.normpath(name)
    if os.path.isabs(path) or path.startswith("..") or path == ".":
        raise UnsupportedError(f"the protected path {name!r} is not inside the workspace")
    return path


def _through_symlink(root: Path, name: str) -> bool:
    parts = Path(name).parts
    return any((root / Path(*parts[:count])).is_symlink() for count in range(1, len(parts)))


def _add_parents(archive: tarfile.TarFile, name: str) -> None:
    for parent in reversed(Path(name).parents[:-1]):
        info = tarfile.TarInfo(str(parent))
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(info)


def _add(archive: tarfile.TarFile, root: Path, prefix: str, room: int, skip: list[str]) -> int:
    pending = [prefix]
    while pending:
        folder = pending.pop()
        inside = folder[len(prefix) :].lstrip("/")
        for entry in sorted(os.scandir(root / inside), key=lambda entry: entry.name):
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name in _SKIPPED or name in skip:
                continue
            if entry.is_dir(follow_symlinks=False):
                info = tarfile.TarInfo(name)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
                pending.append(name)
            elif any(guarded.startswith(name + "/") for guarded in skip):
                continue  # a file or symlink where a protected path needs a folder
            else:
                room = _add_one(archive, Path(entry.path), name, room)
    return room


def _add_one(archive: tarfile.TarFile, path: Path, name: str, room: int) -> int:
    info = tarfile.TarInfo(name)
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
        archive.addfile(info)
        return room
    if not stat.S_ISREG(status.st_mode):
        return room  # no devices, sockets or pipes
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        room -= status.st_size
        if room < 0:
            raise UnsupportedError("the workspace is larger than disk_mb")
        data = file.read(status.st_size)
    info.size, info.mode, info.mtime = len(data), status.st_mode & 0o755, int(status.st_mtime)
    archive.addfile(info, io.BytesIO(data))
    return room
