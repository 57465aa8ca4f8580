"""Packing a workspace: nothing is followed out of it, protected paths come from the pristine folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from verify.admission import UnsupportedError
from verify.archive import pack
from verify.command import counts
from verify.request import CommandCheck


def packed(request: CommandCheck) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(pack(request))) as archive:
        return {member.name: member for member in archive}


def test_symlinks_stay_symlinks_and_devices_stay_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    (work / "out").symlink_to(secret)
    (work / "sub" / "etc").symlink_to("/etc")
    os.mkfifo(work / "pipe")
    names = packed(CommandCheck(work, ("pytest",)))
    assert names["out"].issym()
    assert names["sub/etc"].issym()
    assert "pipe" not in names
    assert not any(name.startswith("sub/etc/") for name in names)


def test_protected_paths_are_pristine(tmp_path: Path) -> None:
    work, clean = tmp_path / "work", tmp_path / "clean"
    for folder, text in ((work, "hacked"), (clean, "assert True")):
        (folder / "tests").mkdir(parents=True)
        (folder / "tests" / "test_a.py").write_text(text)
    (work / "tests" / "conftest.py").write_text("hacked")
    request = CommandCheck(work, ("pytest",), ("tests",), clean)
    names = packed(request)
    assert set(names) == {"tests/test_a.py"}
    assert names["tests/test_a.py"].size == len("assert True")


def test_a_protected_path_behind_a_symlinked_folder_is_still_pristine(tmp_path: Path) -> None:
    work, clean = tmp_path / "work", tmp_path / "clean"
    (clean / "tests").mkdir(parents=True)
    (clean / "tests" / "test_a.py").write_text("assert True")
    work.mkdir()
    (work / "tests").symlink_to("/tmp")
    names = packed(CommandCheck(work, ("pytest",), ("tests/test_a.py",), clean))
    assert names["tests"].isdir()
    assert names["tests/test_a.py"].size == len("assert True")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", ".", "missing.py"])
def test_bad_protected_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsupportedError):
        pack(CommandCheck(tmp_path, ("pytest",), (name,), tmp_path))


def test_counts_only_read_numbers() -> None:
    assert counts("3 passed, 1 failed in 0.1s") == (3, 4)
    assert counts("no tests ran") == (0, 0)
    assert counts("9" * 400 + " passed") == (999999, 999999)
