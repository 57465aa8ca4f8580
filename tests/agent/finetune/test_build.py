"""From a folder of Python to validated tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli import cli
from agent.errors import TaskError
from agent.finetune.build import BuildConfig, build
from agent.finetune.standalone import Source
from agent.finetune.tasks import read_tasks
from verify.checker import open_checker
from verify.sandbox import Probe

GOOD = '''
import math
from functools import reduce as fold

LIMIT = 3


def _twice(x):
    return 2 * x


def scale_by_limit(x):
    """Scale a number.

    >>> scale_by_limit(1)
    6
    >>> scale_by_limit(2)
    12
    >>> scale_by_limit(10)
    60
    """
    return fold(lambda a, b: a * b, [_twice(x), LIMIT, math.floor(1.5)])


def wrong_example(x):
    """Says one thing and does another, here.

    >>> wrong_example(1)
    2
    >>> wrong_example(2)
    3
    """
    return x


def uses_a_clock(x):
    """Reads the time of day to answer.

    >>> uses_a_clock(1)
    1
    >>> uses_a_clock(2)
    2
    """
    return open("/etc/passwd").read() and x


def one_example(x):
    """Has too few examples to judge by.

    >>> one_example(1)
    1
    """
    return x


def gives_none(x):
    """Passes with an empty body, so it tests nothing.

    >>> gives_none(1) == None
    True
    >>> gives_none(2) == None
    True
    """
    return None


def truncate_number(number):
    """The name of a benchmark's function is enough to leave it out.

    >>> truncate_number(3.5)
    0.5
    >>> truncate_number(1.25)
    0.25
    """
    return number % 1.0
'''
OTHER = '''
def join_with_dash(words):
    """Join words.

    >>> join_with_dash(["a", "b"])
    'a-b'
    >>> join_with_dash([])
    \'\'
    """
    return "-".join(words)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("one/good.py", GOOD), ("two/other.py", OTHER), ("two/broken.py", "def f(:")):
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "code"


def test_what_is_kept_and_why_the_rest_is_not(folder: Path, tmp_path: Path) -> None:
    config = BuildConfig(held_out=("code/two",), folder_licence="MIT")
    with open_checker(jobs=1) as checker:
        report = build([folder], tmp_path / "out", config, checker)
    tasks = {task.entry: task for task in read_tasks(tmp_path / "out" / "tasks.jsonl")}
    assert set(tasks) == {"scale_by_limit", "join_with_dash"}
    assert report.dropped == {
        "own examples: failed": 1,
        "needs more than the standard library": 1,
        "fewer than two usable examples": 1,
        "an empty body passes": 1,
        "benchmark (name of the function)": 1,
        "over the unit's share": 0,
    }
    kept = tasks["scale_by_limit"]
    assert (kept.split, tasks["join_with_dash"].split) == ("train", "held-out")
    assert (kept.licence, kept.unit, kept.path) == ("MIT", "code/one", "one/good.py:12")
    assert kept.hidden == 1
    assert "60" not in kept.stub, "the last example is held back"
    assert len(kept.cases) == 3
    assert kept.stub.startswith("from functools import reduce as fold\nimport math\n\nLIMIT = 3\n")
    assert "def _twice(x):" in kept.stub
    card = (tmp_path / "out" / "card.md").read_text()
    assert "| code/one |  | MIT (MIT) | train | 1 |" in card
    assert "| own examples: failed | 1 |" in card


def test_the_command(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    args = ["tasks", "build", str(folder), "-o", str(out), "--licence", "MIT", "--json"]
    result = CliRunner().invoke(cli, args, catch_exceptions=False)
    counts = json.loads(result.stdout)
    assert counts["train"] + counts["held_out"] == 2


def test_code_without_a_permissive_licence_is_refused(folder: Path, tmp_path: Path) -> None:
    with open_checker(jobs=1) as checker, pytest.raises(TaskError, match="permissive licence"):
        build([folder], tmp_path / "out", BuildConfig(folder_licence="GPL-3.0"), checker)
    assert not (tmp_path / "out").exists()


def test_a_missing_sandbox_is_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verify.checker.choose", lambda *_: (None, Probe("none", False, "nothing")))
    with open_checker() as checker, pytest.raises(TaskError, match="cannot judge"):
        build([folder], tmp_path / "out", BuildConfig(folder_licence="MIT"), checker)


@pytest.mark.parametrize(
    "body",
    [
        "import numpy\n{}    return numpy.sum(x)",
        "import random\n{}    return random.random()",
        "{}    return open(x)",
        "{}    return print(x)",
        "{}    import os\n    return os",
        "{}    return eval(x)",
        "{}    return missing(x)",
        "from datetime import datetime\n{}    return datetime.now()",
        "import time\ndef h():\n    return time.time()\n{}    return h()",
    ],
)
def test_functions_that_need_the_world_are_left_out(body: str) -> None:
    source = Source(body.format('def f(x):\n    """Doc.\n    >>> f(1)\n    1\n    """\n'))
    assert source.pieces(source.functions()[0]) is None
