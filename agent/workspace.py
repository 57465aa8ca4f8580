"""The folder a run works on: reads and writes inside it only, and can put everything back as it was.

Before a file is first written its original is copied to the session's `before/` folder (or remembered as
absent), so uncommitted changes survive a failed run, and a killed one (`Workspace.recover`). Paths are walked
from the root with O_NOFOLLOW: a symlink, `..` or an absolute path is refused, and so is anything under
`.git`.

    workspace = Workspace(Path("repo"), writable=("calc.py",), before=session.before)
    workspace.write("calc.py", source)
    workspace.restore()
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent.errors import WorkspaceError
from model.wholefile import write_whole

MAX_FILE_BYTES = 256 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class _Original:
    data: bytes | None  # None: the file did not exist
    mode: int
    made_folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    path: str
    diff: str
    created: bool


class Workspace:
    """See the module. `writable`: the only paths `write` accepts."""

    def __init__(self, root: Path, writable: tuple[str, ...], before: Path | None = None) -> None:
        self.root = root.resolve()
        self._writable = frozenset(writable)
        self._before = before
        self._originals: dict[str, _Original] = {}
        self._written: dict[str, list[str]] = {}  # sha256 of every content this run put there
        if not self.root.is_dir():
            raise WorkspaceError(f"{root}: the workdir is not a folder")

    @property
    def changed(self) -> tuple[str, ...]:
        """Paths whose content differs from before the run."""
        return tuple(p for p, o in self._originals.items() if self._read(p) != o.data)

    def read(self, path: str) -> str | None:
        """The text of a file, None if there is none. Raises WorkspaceError (bad path, binary file)."""
        data = self._read(path)
        if data is None:
            return None
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WorkspaceError(f"{path}: not a text file") from error
        if "\0" in text:
            raise WorkspaceError(f"{path}: not a text file")
        return text

    def write(self, path: str, text: str) -> Change:
        """Write a file whole, atomically, keeping its mode. Raises WorkspaceError, nothing written."""
        if path not in self._writable:
            allowed = ", ".join(sorted(self._writable))
            raise WorkspaceError(f"{path}: may not be written; this task may write {allowed}")
        old = self._read(path)
        data = text.encode("utf-8", "replace")
        if path not in self._originals:
            self._originals[path] = self._original(path, old)
        self._written.setdefault(path, []).append(_digest(data))
        self._save(path)
        self._put(path, data, self._originals[path].mode)
        before = (old or b"").decode("utf-8", "replace").splitlines(keepends=True)
        diff = "".join(difflib.unified_diff(before, text.splitlines(keepends=True), f"a/{path}", f"b/{path}"))
        return Change(path, diff, created=old is None)

    def restore(self) -> tuple[str, ...]:
        """Put back every file written by this run; one that somebody else changed since is left as it is."""
        restored = []
        for path, original in reversed(self._originals.items()):
            current = self._read(path)
            ours = current is None or _digest(current) in self._written[path]
            if current == original.data or not ours:
                continue
            if original.data is None:
                self._remove(path, original.made_folders)
            else:
                self._put(path, original.data, original.mode)
            restored.append(path)
        return tuple(restored)

    @classmethod
    def recover(cls, before: Path) -> tuple[str, ...]:
        """Put back the files of a run that was killed, from its session's `before/` folder."""
        try:
            manifest = json.loads((before / _MANIFEST).read_text("utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise WorkspaceError(f"{before}: nothing to restore from") from error
        rows = manifest["files"]
        self = cls(Path(manifest["root"]), tuple(rows))
        for path, row in rows.items():
            data = (before / row["copy"]).read_bytes() if row["copy"] else None
            self._originals[path] = _Original(data, row["mode"], tuple(row["made_folders"]))
            self._written[path] = row["written"]
        return self.restore()

    def _original(self, path: str, data: bytes | None) -> _Original:
        mode = 0o644
        with self._parent(path) as found:
            if found is not None and data is not None:
                mode = stat.S_IMODE(os.stat(found[1], dir_fd=found[0], follow_symlinks=False).st_mode)
        parents = [str(p) for p in PurePosixPath(path).parents][:-1]
        return _Original(data, mode, tuple(p for p in parents if not (self.root / p).exists()))

    def _save(self, path: str) -> None:
        """Keep the original of `path` and the list of all originals on disk, before the file is touched."""
        if self._before is None:
            return
        self._before.mkdir(parents=True, exist_ok=True)
        rows = {}
        for index, (name, original) in enumerate(self._originals.items()):
            copy = f"{index}-{PurePosixPath(name).name}" if original.data is not None else ""
            if name == path and original.data is not None and not (self._before / copy).exists():
                write_whole(self._before / copy, original.data)
            rows[name] = {
                "copy": copy,
                "mode": original.mode,
                "made_folders": original.made_folders,
                "written": self._written[name],
            }
        manifest = json.dumps({"root": str(self.root), "files": rows}, indent=1)
        write_whole(self._before / _MANIFEST, manifest)

    @contextlib.contextmanager
    def _parent(self, path: str, create: bool = False) -> Iterator[tuple[int, str] | None]:
        """An open descriptor of the path's folder and the path's last name; None when a folder is missing."""
        pure = PurePosixPath(path)
        if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\0" in path:
            raise WorkspaceError(f"{path!r}: not a path inside the workspace")
        if ".git" in pure.parts:
            raise WorkspaceError(f"{path}: .git is not the agent's to touch")
        descriptor = os.open(self.root, _FOLDER)
        try:
            for part in pure.parts[:-1]:
                try:
                    if create:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(part, dir_fd=descriptor)
                    inner = os.open(part, _FOLDER, dir_fd=descriptor)
                except FileNotFoundError:
                    yield None
                    return
                except OSError as error:
                    raise WorkspaceError(f"{path}: '{part}' is a symlink or no folder; refused") from error
                os.close(descriptor)
                descriptor = inner
            yield descriptor, pure.name
        finally:
            os.close(descriptor)

    def _read(self, path: str) -> bytes | None:
        with self._parent(path) as found:
            if found is None:
                return None
            try:
                file = os.open(
                    found[1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=found[0]
                )
            except FileNotFoundError:
                return None
            except OSError as error:
                raise WorkspaceError(f"{path}: a symlink or unreadable; refused") from error
            if not stat.S_ISREG(os.fstat(file).st_mode):
                os.close(file)
                raise WorkspaceError(f"{path}: not a regular file; refused")
            with os.fdopen(file, "rb") as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise WorkspaceError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
            return data

    def _put(self, path: str, data: bytes, mode: int) -> None:
        with self._parent(path, create=True) as found:
            if found is None:
                raise WorkspaceError(f"{path}: its folder disappeared")
            folder, name = found
            temporary = f".{name}.trihead-tmp"
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(temporary, flags, mode, dir_fd=folder), "wb") as stream:
                    os.fchmod(stream.fileno(), mode)
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise WorkspaceError(
                    f"{path}: cannot be written ({error.strerror}); it is as it was"
                ) from error

    def _remove(self, path: str, folders: tuple[str, ...]) -> None:
        with self._parent(path) as found, contextlib.suppress(FileNotFoundError):
            if found is not None:
                os.unlink(found[1], dir_fd=found[0])
        for folder in folders:  # innermost first; one that somebody else uses stays
            with contextlib.suppress(OSError), self._parent(folder) as found:
                if found is not None:
                    os.rmdir(found[1], dir_fd=found[0])


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
