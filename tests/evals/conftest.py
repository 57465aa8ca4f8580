"""Shared by the tests of evals: a home of their own, a judge, the command line, small EvalPlus-like data
written for these tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.cli import main
from evals.judge import Judge


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's data folder or sees their override variables."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TRIHEAD_HOME", str(folder))
    monkeypatch.delenv("HUMANEVAL_OVERRIDE_PATH", raising=False)
    monkeypatch.delenv("MBPP_OVERRIDE_PATH", raising=False)
    return folder


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    with Judge(1) as opened:
        yield opened


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return value


@pytest.fixture
def evals(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*args: object) -> Result:
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(int(end.value.code or 0), captured.out, captured.err)

    return call


# Replies of a scripted model.
SCRIPT = ["return 1", "def has_close_elements(numbers, threshold):\n    return any(abs(a - b) < threshold\n"
          "        for i, a in enumerate(numbers) for b in numbers[:i])\n```\nDone."]  # fmt: skip


def plus_row(
    number: int, entry: str, body: str, base: list[Any], plus: list[Any], atol: float = 0
) -> dict[str, Any]:
    """A row in EvalPlus's form with a problem of our own."""
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": f'def {entry}(*args):\n    """ A task. """\n',
        "entry_point": entry,
        "canonical_solution": body,
        "test": "",
        "contract": "",
        "base_input": base,
        "plus_input": plus,
        "atol": atol,
    }


ROWS = [
    plus_row(0, "total", "    return sum(args[0])\n", [[[1, 2]], [[]]], [[[5]], [[-1, 1]], [[10, 20, 30]]]),
    plus_row(
        1, "mean", "    return sum(args[0]) / len(args[0])\n", [[[1.0, 2.0]]], [[[0.1, 0.2, 0.3]], [[7]]]
    ),
    plus_row(2, "distinct", "    return set(args[0])\n", [["abcab"]], [["hello world"], [""]]),
    plus_row(3, "twice", "    args[0].extend(args[0])\n    return args[0]\n", [[[1]]], [[[1, 2]], [[]]]),
]


@pytest.fixture
def plus_data(tmp_path: Path) -> Path:
    path = tmp_path / "plus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path
