"""The examples: each loads, is solvable (by our own solutions), and its stub does not pass by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import checks
from agent.events import Done
from agent.loop import run
from agent.options import Options
from agent.task import load_task
from agent.workspace import Workspace
from model.scripted import ScriptedModel
from verify.checker import Checker, open_checker
from verify.verdict import Status

ROOT = Path(__file__).parents[2] / "examples"
SOLUTIONS = Path(__file__).parent / "solutions"
EXAMPLES = sorted(p.parent.name for p in ROOT.glob("*/task.md"))
BEND = [name for name in EXAMPLES if name.endswith("bend")]


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with open_checker() as opened:
        yield opened


def test_there_are_enough() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.bend] * (n in BEND)) for n in EXAMPLES])
def test_solvable_and_not_solved_already(name: str, tmp_path: Path, checker: Checker) -> None:
    folder = tmp_path / name
    shutil.copytree(ROOT / name, folder)
    task = load_task(folder / "task.md")
    assert task.has_tests
    workspace = Workspace(task.workdir, task.files)
    before = [checker.check(r) for r in checks.requests(task, workspace, 60)]
    assert not any(v.ok for v in before)
    workspace.write(task.files[0], (SOLUTIONS / Path(task.files[0]).name).read_text())
    verdicts = [checker.check(r) for r in checks.requests(task, workspace, 60)]
    if name in BEND and verdicts[0].status is Status.UNAVAILABLE:
        pytest.skip(verdicts[0].detail)
    assert verdicts
    assert all(v.ok for v in verdicts), verdicts


@pytest.mark.parametrize(
    ("name", "repairs"), [("07-slugify", 1), pytest.param("09-bend", 1, marks=pytest.mark.bend)]
)
def test_scripted_demos(name: str, repairs: int, tmp_path: Path, checker: Checker) -> None:
    shutil.copytree(ROOT / name, tmp_path / name)
    task = load_task(tmp_path / name / "task.md")
    *_, done = run(task, ScriptedModel.from_file(ROOT / name / "replies.txt"), checker, Options())
    assert isinstance(done, Done)
    if done.verdict is not None and done.verdict.status is Status.UNAVAILABLE:
        pytest.skip(done.error)
    assert (done.status, done.repairs) == ("solved", repairs)
