"""What of a docstring becomes a case, and that tasks survive the way through JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import TaskError
from agent.finetune import examples
from agent.finetune.tasks import DoctestTask, case_row, read_tasks, to_json, write_tasks
from verify.cases import from_json, parse_cases
from verify.request import Case


def read(doc: str) -> list[Case]:
    return [example.case for example in examples.read(doc, "f")]


def test_calls_results_exceptions_and_equations_count() -> None:
    cases = read(
        """
        >>> f(1, b=[2])
        3
        >>> f(2) == (4, 5)
        True
        >>> f(-1)
        Traceback (most recent call last):
            ...
        ValueError: no
        >>> x = {'a': 1}
        >>> f(x)
        {'b': 2.5}
        """
    )
    assert cases == [
        Case((1,), {"b": [2]}, 3),
        Case((2,), expected=(4, 5)),
        Case((-1,), raises="ValueError"),
        Case(({"a": 1},), expected={"b": 2.5}, tolerance=examples.TOLERANCE),
    ]


@pytest.mark.parametrize(
    "doc",
    [
        ">>> g(1)\n2",  # another function
        ">>> print(f(1))\n2",
        ">>> f(open('x'))\n2",
        ">>> f(1)\n<object at 0x7f>",
        ">>> f(1)  # doctest: +SKIP\n2",
        ">>> f(1) == 2\nFalse",
        ">>> f(*[1])\n2",
        ">>> f(y)\n2",  # y is not known
        ">>> f(1)",
        "not a test",
        ">>>broken",
    ],
)
def test_anything_else_is_left_out(doc: str) -> None:
    assert read(doc) == []


def test_an_example_twice_is_one_case_and_names_can_be_bound_anew() -> None:
    assert read(">>> f(1)\n2\n>>> f(1)\n2") == [Case((1,), expected=2)]
    assert read(">>> x = 1\n>>> x = object()\n>>> f(x)\n2") == []


def test_lines_of_an_example_are_the_ones_to_cut() -> None:
    doc = "Say.\n\n>>> f(1)\n2\n>>> f(\n...   3)\n[4,\n 5]\n\nMore."
    lines = doc.splitlines()
    last = examples.read(doc, "f")[-1]
    assert lines[last.first : last.last] == [">>> f(", "...   3)", "[4,", " 5]"]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner)
    | st.dictionaries(st.integers(), inner) | st.sets(st.integers()) | st.frozensets(st.text()),
    max_leaves=8,
)  # fmt: skip


@given(VALUES)
def test_values_survive_json(value: Any) -> None:
    again = from_json(json.loads(json.dumps(to_json(value))), "here")
    assert again == value
    assert type(again) is type(value)


def a_task(**changes: Any) -> DoctestTask:
    values: dict[str, Any] = {
        "id": "pkg/f", "unit": "pkg", "package": "pkg", "version": "1", "licence": "MIT", "path": "m.py:1",
        "entry": "f", "stub": 'def f(x):\n    """Add one.\n    >>> f(1)\n    2\n    """\n',
        "solution": "def f(x):\n    return x + 1\n", "cases": (Case((1,), expected=2), Case((0,), raises="E"))
    }  # fmt: skip
    return DoctestTask(**(values | changes))


def test_tasks_survive_the_disk(tmp_path: Path) -> None:
    tasks = [a_task(), a_task(id="pkg/g", cases=(Case(((1.5,),), {"k": {1}}, {2: 3}, tolerance=0.1),))]
    write_tasks(tmp_path / "t.jsonl", tasks)
    assert read_tasks(tmp_path / "t.jsonl") == tasks
    assert parse_cases([case_row(c) for c in tasks[1].cases]) == tasks[1].cases


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no task"),
        ("{", "line 1 is damaged"),
        ("{}", "line 1 is no task"),
        ("[]", "line 1 is no task"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(content)
    with pytest.raises(TaskError, match=message):
        read_tasks(path)
    with pytest.raises(TaskError, match="agent tasks build"):
        read_tasks(tmp_path / "missing.jsonl")


def test_a_task_for_the_loop_has_the_stub_as_scaffold(tmp_path: Path) -> None:
    task = a_task(split="held-out").task(tmp_path)
    assert task.source == "doctest/held-out"
    assert task.scaffold is not None
    assert task.scaffold.text == a_task().stub
    assert task.cases == a_task().cases
