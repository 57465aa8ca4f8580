"""What counts as a touched scratch folder: everything a later check could read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from verify.inside.scratch import state


def _file(folder: Path) -> None:
    (folder / "left").write_text("x")


def _file_come_and_gone(folder: Path) -> None:
    _file(folder)
    (folder / "left").unlink()


def _attribute(folder: Path) -> None:
    try:
        os.setxattr(folder, "user.message", b"1")
    except OSError:
        pytest.skip("no user attributes on this file system")


@pytest.mark.parametrize(
    "touch",
    [
        _file,
        _file_come_and_gone,
        _attribute,
        lambda folder: folder.chmod(0o711),
        lambda folder: os.utime(folder, ns=(5, os.stat(folder).st_mtime_ns)),
        lambda folder: os.utime(folder, ns=(os.stat(folder).st_atime_ns, 5)),
    ],
    ids=["file", "file gone again", "attribute", "mode", "read time", "write time"],
)
def test_a_touch_shows(tmp_path: Path, touch: Callable[[Path], None]) -> None:
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.utime(tmp_path, ns=(1, 1))
        clean = state(folder)
        assert state(folder)[:8] == clean[:8]  # looking changes nothing
        touch(tmp_path)
        assert state(folder) != clean
    finally:
        os.close(folder)
