"""The image of the Docker sandbox, made from the running interpreter: no registry, no distribution.

    build()   # a tar of the interpreter's own files and the libraries it loads, through `docker import`
    find()    # its name if the daemon has it

It holds the interpreter's standard library (no site-packages, no tests), the shared libraries that `ldd`
names, `timeout`, and empty folders. The tag is a hash of the list of files, so a new interpreter gets a new
image.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

from verify.interpreter import interpreter
from verify.sandbox import SandboxError

REPOSITORY = "trihead-python"
_SKIPPED = frozenset(
    (
        *(
            "site-packages",
            "dist-packages",
            "test",
            "tests",
            "__pycache__",
            "idlelib",
            "tkinter",
            "turtledemo",
        ),
        *("ensurepip", "lib2to3", "include", "share", "pip", "config"),
    )
)
_GLIBC = ("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libm.so.6")
_EXPECTED = ("libgcc_s.so.1", "libstdc++.so.6", *_GLIBC)
_EMPTY = ("tmp", "proc", "dev", "sys", "etc")


@functools.cache
def _tag() -> str:
    """The image's name: it changes with the interpreter and with what is packed."""
    python = interpreter()
    status = os.stat(python.binary)
    text = f"3{python}{status.st_size}{status.st_mtime_ns}{sorted(_SKIPPED)}"
    return f"{REPOSITORY}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def find() -> str | None:
    """The image's name when the daemon has it. Raises SandboxError without a `docker` command."""
    return _known(_tag())


@functools.lru_cache(maxsize=8)
def _found(tag: str, moment: int) -> bool:
    try:
        done = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", tag],
            check=False,
            capture_output=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise SandboxError("there is no working `docker` command") from None
    return done.returncode == 0


def _known(tag: str) -> str | None:
    return tag if _found(tag, int(time.monotonic()) // 5) else None


def _files() -> list[Path]:
    """Everything the image needs, as paths on this machine (symlinks among them)."""
    python = interpreter()
    binary = Path(python.binary)
    wanted: set[Path] = {binary}
    for prefix in python.folders:
        for library in sorted(Path(prefix, "lib").glob("python3*")) + sorted(
            Path(prefix, "lib").glob("libpython3*")
        ):
            if library.name.startswith("python3") and library.name != _version_folder():
                continue
            wanted.update(_walk(library))
    programs = [binary, *(path for path in wanted if path.suffix == ".so" or ".so." in path.name)]
    for name in ("timeout",):
        if found := shutil.which(name):
            wanted.add(Path(found))
            programs.append(Path(found))
    wanted.update(_libraries(programs))
    return sorted(_with_targets(wanted))


def _version_folder() -> str:
    name = Path(interpreter().binary).name
    match = re.search(r"3\.\d+", name)
    if match:
        return f"python{match[0]}"
    script = "import sys; print('python%d.%d' % sys.version_info[:2])"
    return subprocess.run(
        [interpreter().binary, "-I", "-S", "-c", script], check=True, capture_output=True, text=True
    ).stdout.strip()


def _walk(root: Path) -> list[Path]:
    if not root.is_dir():
        return [root]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith("config-")]
        found += [Path(folder, name) for name in names if not name.endswith((".a", ".pyc", ".exe"))]
    return found


def _libraries(programs: list[Path]) -> set[Path]:
    """What the programs load, and what compiled packages outside the image expect of any system."""
    loaded = _output(["ldd", *map(str, programs)])
    found = {Path(match) for match in re.findall(r"(/[^\s()]+)\s+\(0x", loaded)}
    cache = _output([shutil.which("ldconfig") or "/sbin/ldconfig", "-p"])
    for name in _EXPECTED:
        if match := re.search(rf"^\s*{re.escape(name)} .*=> (\S+)$", cache, re.MULTILINE):
            found.add(Path(match[1]))
    return found


def _output(line: list[str]) -> str:
    return subprocess.run(line, check=False, capture_output=True, text=True, timeout=120).stdout


def _with_targets(paths: set[Path]) -> set[Path]:
    """The paths, their symlinks' targets, and symlinks among their parent folders (/lib -> usr/lib)."""
    result: set[Path] = set()
    pending = list(paths)
    while pending:
        path = pending.pop()
        for part in [*reversed(path.parents), path]:
            if part.is_symlink():
                result.add(part)
                rest = path.relative_to(part)
                target = Path(os.path.normpath(part.parent / os.readlink(part)))
                pending.append(target / rest if str(rest) != "." else target)
                break
        else:
            result.add(path)
    return result


def _archive(target: io.BufferedIOBase) -> None:
    seen: set[str] = set()
    with tarfile.open(fileobj=target, mode="w|") as archive:

        def folder(name: str, mode: int = 0o755) -> None:
            parent = os.path.dirname(name)
            if parent and parent not in seen:
                folder(parent)
            if name not in seen:
                seen.add(name)
                info = tarfile.TarInfo(name)
                info.type, info.mode = tarfile.DIRTYPE, mode
                archive.addfile(info)

        for name in _EMPTY:
            folder(name, 0o1777 if name == "tmp" else 0o755)
        for path in _files():
            name = str(path).lstrip("/")
            if name in seen:
                continue
            folder(os.path.dirname(name))
            seen.add(name)
            if path.is_symlink():
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
                archive.addfile(info)
            elif path.is_file():
                data = path.read_bytes()
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o755 if os.access(path, os.X_OK) else 0o644
                archive.addfile(info, io.BytesIO(data))


def build() -> str:
    """Make the image if it is not there; its name. Raises SandboxError with the daemon's own words."""
    tag = _tag()
    _found.cache_clear()
    if find() is not None:
        return tag
    pipe = subprocess.PIPE
    process = subprocess.Popen(["docker", "import", "-", tag], stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None
    try:
        _archive(process.stdin)  # type: ignore[arg-type]  # a raw pipe writes as a stream tar needs
        process.stdin.close()
    except BrokenPipeError:
        pass  # docker says why below
    assert process.stderr is not None
    words = process.stderr.read().decode("utf-8", "replace").strip()
    if process.wait() != 0:
        raise SandboxError(f"docker import failed: {words.splitlines()[-1] if words else 'no reason given'}")
    _found.cache_clear()
    return tag
