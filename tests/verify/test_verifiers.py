"""Judges of training rollouts, with the real sandbox and real Bend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from verify.verifiers import TaskVerifier, bend_hvm, python

BEND_TASKS = Path(__file__).parents[2] / "configs" / "bend-tasks.jsonl"
TASK: dict[str, Any] = {
    "id": "t/f",
    "entry": "f",
    "stub": "def f():\n    return ",
    "cases": [{"args": [], "expected": 1}],
}
BEND: dict[str, Any] = {
    "id": "t/add",
    "entry": "add",
    "stub": "def add(a: u24, b: u24) -> u24:\n",
    "cases": [{"args": [1, 2], "expected": 3}, {"args": [5, 0], "expected": 5}],
}


@pytest.fixture
def judge() -> Iterator[TaskVerifier]:
    found = python()
    assert found.unavailable() == ""  # without bubblewrap the project is not tested
    yield found
    found.close()


@pytest.fixture
def bend() -> Iterator[TaskVerifier]:
    found = bend_hvm()
    assert found.unavailable() == ""
    yield found
    found.close()


def test_python_programs(judge: TaskVerifier) -> None:
    endings = ("1\n", "2\n", "1 1\n", "1 / 0\n", "1\nimport os\n")
    assert judge.judge(TASK, [TASK["stub"] + ending for ending in endings]) == [
        "passed",
        "failed",
        "compile_error",
        "runtime_error",
        "passed",
    ]


@pytest.mark.parametrize(
    ("prefix", "status"),
    [
        ("def f():\n    return (1 +\n", ""),  # open
        ("def f():\n    retu", ""),  # an unfinished line
        ("def f():\n    return 1 1\n", "compile_error"),
        ("def f():\n    return 2\n", ""),  # the body may go on
        ("def f():\n    return 2\ndef g():\n", "failed"),
        ("def f():\n    return 1\ndef g():\n", ""),
        ("def f():\n    return g()\ndef g():\n", ""),  # g comes later
    ],
)
def test_what_a_python_prefix_shows(judge: TaskVerifier, prefix: str, status: str) -> None:
    assert judge.judge_prefix(TASK, prefix) == status


def test_a_task_that_is_none_is_named(judge: TaskVerifier) -> None:
    assert judge.problem(TASK) == ""
    assert judge.problem({**TASK, "entry": 3}) == "'entry' must be text"
    assert "expected" in judge.problem({**TASK, "id": "t/g", "cases": [{"args": []}]})


@pytest.mark.bend
def test_bend_programs(bend: TaskVerifier) -> None:
    bodies = ("  return a + b\n", "  return a - b\n", "  return a +\n")
    assert bend.judge(BEND, [BEND["stub"] + body for body in bodies]) == ["passed", "failed", "compile_error"]


@pytest.mark.bend
def test_what_a_bend_prefix_shows(bend: TaskVerifier) -> None:
    wrong, right = BEND["stub"] + "  return a - b\n", BEND["stub"] + "  return a + b\n"
    assert bend.judge_prefix(BEND, wrong) == ""  # the body may go on
    assert bend.judge_prefix(BEND, wrong + "def g(x: u24) -> u24:\n") == "failed"
    assert bend.judge_prefix(BEND, right + "def g(x: u24) -> u24:\n") == ""


@pytest.mark.bend
def test_shipped_bend_tasks_are_solved_by_their_solutions(bend: TaskVerifier) -> None:
    tasks = [json.loads(line) for line in BEND_TASKS.read_text("utf-8").splitlines()]
    assert len(tasks) >= 10
    for task in tasks:
        assert bend.problem(task) == ""
        assert task["solution"].startswith(task["stub"])
        empty = task["stub"] + "  return 0\n"
        verdicts = bend.judge(task, [task["solution"], empty])
        assert verdicts[0] == "passed", task["id"]
        assert verdicts[1] != "passed", task["id"]
