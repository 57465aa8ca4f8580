"""A data folder of its own for every test, and tasks with a scripted model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.task import Task, load_task
from verify.checker import Checker, open_checker

TASK = """---
files: [twice.py]
---
Write it.
```python
def twice(x: int) -> int:
    '''Twice x.'''
```
`twice(2) == 4`
"""
GOOD = "    return 2 * x\n"


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


@pytest.fixture
def task_folder(workdir: Path) -> Path:
    (workdir / "task.md").write_text(TASK)
    (workdir / "good.json").write_text(json.dumps([GOOD]))
    (workdir / "wrong.json").write_text(json.dumps([f"    return x - {i}\n" for i in range(9)]))
    (workdir / "prose.json").write_text(json.dumps(["\n"] * 9))
    return workdir
