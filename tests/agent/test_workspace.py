"""The workspace writes nothing outside itself and can put everything back."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import WorkspaceError
from agent.workspace import Workspace


def tree(root: Path) -> dict[str, bytes | None]:
    """Every path below root with its content (None: a folder)."""
    return {
        str(p.relative_to(root)): p.read_bytes() if p.is_file() else None
        for p in root.rglob("*")
        if ".git" not in p.parts
    }


def test_write_read_restore_of_a_new_and_an_old_file(workdir: Path, tmp_path: Path) -> None:
    (workdir / "old.py").write_text("old\n")
    (workdir / "old.py").chmod(0o750)
    before = tree(workdir)
    workspace = Workspace(workdir, ("old.py", "new/deep/er.py"), tmp_path / "before")
    change = workspace.write("old.py", "changed\n")
    assert (change.created, change.diff) == (
        False,
        "--- a/old.py\n+++ b/old.py\n@@ -1 +1 @@\n-old\n+changed\n",
    )
    assert workspace.write("new/deep/er.py", "x\n").created
    assert workspace.read("new/deep/er.py") == "x\n"
    assert set(workspace.changed) == {"old.py", "new/deep/er.py"}
    assert set(workspace.restore()) == {"old.py", "new/deep/er.py"}
    assert tree(workdir) == before
    assert stat.S_IMODE((workdir / "old.py").stat().st_mode) == 0o750
    assert workspace.restore() == ()


@pytest.mark.parametrize(
    "path", ["../out.py", "/tmp/out.py", "a/../../out.py", ".git/config", "sub/.git/x", "", "a\0b"]
)
def test_paths_outside_are_refused_even_when_listed(workdir: Path, path: str) -> None:
    (workdir / "a").mkdir()
    before = tree(workdir.parent)
    workspace = Workspace(workdir, (path,))
    with pytest.raises(WorkspaceError):
        workspace.write(path, "x")
    assert tree(workdir.parent) == before


def test_only_listed_files_may_be_written(workdir: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"conftest\.py: may not be written; this task may write a\.py"):
        Workspace(workdir, ("a.py",)).write("conftest.py", "x")


def test_symlinks_are_refused(workdir: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("secret")
    (workdir / "folder").symlink_to(outside)
    (workdir / "file.py").symlink_to(outside / "secret.py")
    (workdir / "dangling.py").symlink_to(outside / "none.py")
    workspace = Workspace(workdir, ("folder/new.py", "file.py", "dangling.py"))
    for path in ("folder/new.py", "folder/secret.py", "file.py", "dangling.py"):
        with pytest.raises(WorkspaceError, match="symlink"):
            workspace.read(path)
    for path in ("folder/new.py", "file.py", "dangling.py"):
        with pytest.raises(WorkspaceError, match="symlink"):
            workspace.write(path, "x")
    assert tree(outside) == {"secret.py": b"secret"}


def test_what_is_no_text_file_is_refused(workdir: Path) -> None:
    (workdir / "binary.py").write_bytes(b"\xff\xfe\x00")
    (workdir / "large.py").write_bytes(b"a" * 300_000)
    (workdir / "folder.py").mkdir()
    os.mkfifo(workdir / "fifo.py")
    for path in ("binary.py", "large.py", "folder.py", "fifo.py"):
        with pytest.raises(WorkspaceError, match=path):
            Workspace(workdir, (path,)).read(path)


def test_uncommitted_changes_of_a_git_repository_survive(workdir: Path, tmp_path: Path) -> None:
    def git(*args: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *identity, *args], cwd=workdir, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    (workdir / "calc.py").write_text("committed\n")
    git("add", ".")
    git("commit", "-qm", "first")
    (workdir / "calc.py").write_text("uncommitted\n")
    (workdir / "notes.txt").write_text("untracked\n")
    before, status = tree(workdir), git("status", "--porcelain")
    workspace = Workspace(workdir, ("calc.py",), tmp_path / "before")
    workspace.write("calc.py", "the agent's\n")
    workspace.restore()
    assert tree(workdir) == before
    assert git("status", "--porcelain") == status


def test_what_a_person_edits_meanwhile_is_left_alone(workdir: Path) -> None:
    (workdir / "a.py").write_text("old\n")
    workspace = Workspace(workdir, ("a.py",))
    workspace.write("a.py", "agent\n")
    (workdir / "a.py").write_text("person\n")
    assert workspace.restore() == ()
    assert (workdir / "a.py").read_text() == "person\n"


def test_a_killed_run_can_be_recovered(workdir: Path, tmp_path: Path) -> None:
    (workdir / "a.py").write_text("old\n")
    before = tree(workdir)
    workspace = Workspace(workdir, ("a.py", "b/c.py"), tmp_path / "before")
    workspace.write("a.py", "one\n")
    workspace.write("b/c.py", "new\n")
    workspace.write("a.py", "two\n")
    del workspace
    assert set(Workspace.recover(tmp_path / "before")) == {"a.py", "b/c.py"}
    assert tree(workdir) == before
    with pytest.raises(WorkspaceError, match="nothing to restore"):
        Workspace.recover(tmp_path / "none")


def test_an_unwritable_folder_is_one_line_and_nothing_lost(workdir: Path) -> None:
    (workdir / "a").write_text("a file, not a folder")
    with pytest.raises(WorkspaceError):
        Workspace(workdir, ("a/b.py",)).write("a/b.py", "x")
    assert tree(workdir) == {"a": b"a file, not a folder"}


@given(st.lists(st.tuples(st.sampled_from(["a.py", "b/c.py", "b/d.py"]), st.text(max_size=20)), max_size=8))
def test_restore_undoes_any_sequence_of_writes(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[str, str]]
) -> None:
    root = tmp_path_factory.mktemp("work")
    (root / "a.py").write_text("old\n")
    before = tree(root)
    workspace = Workspace(root, ("a.py", "b/c.py", "b/d.py"))
    for path, text in writes:
        workspace.write(path, text)
    workspace.restore()
    assert tree(root) == before
    assert workspace.changed == ()
