"""A data folder of its own for every test, and tasks with a scripted model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.task import Task, load_task
from verify.checker import Checker, open_checker


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("TRIHEAD_HOME", str(folder))
    return folder


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def make_task(workdir: Path) -> Callable[..., Task]:
    """Write a task file into the workdir and load it."""

    def make(text: str) -> Task:
        (workdir / "task.md").write_text(text)
        return load_task(workdir / "task.md")

    return make


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with open_checker() as opened:
        yield opened
