"""The examples: each loads, is solvable (by our own solutions), and its stub does not pass by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import checks
from agent.task import load_task
from agent.workspace import Workspace
from verify.checker import Checker, open_checker

ROOT = Path(__file__).parents[2] / "examples"
SOLUTIONS = Path(__file__).parent / "solutions"
EXAMPLES = sorted(p.parent.name for p in ROOT.glob("*/task.md"))


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with open_checker() as opened:
        yield opened


def test_there_are_enough() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("name", EXAMPLES)
def test_solvable_and_not_solved_already(name: str, tmp_path: Path, checker: Checker) -> None:
    folder = tmp_path / name
    shutil.copytree(ROOT / name, folder)
    task = load_task(folder / "task.md")
    assert task.has_tests
    workspace = Workspace(task.workdir, task.files)
    assert not any(v.ok for v in map(checker.check, checks.requests(task, workspace, 60)))
    workspace.write(task.files[0], (SOLUTIONS / Path(task.files[0]).name).read_text())
    verdicts = [checker.check(r) for r in checks.requests(task, workspace, 60)]
    assert verdicts
    assert all(v.ok for v in verdicts), verdicts
