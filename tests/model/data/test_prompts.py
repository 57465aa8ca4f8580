"""Forms of prompts: all of them can be made, none is made twice, and the agent's are the agent's."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.prompts import render
from model.data import agent_prompts
from model.data.build import _above
from model.data.functions import Function, functions
from model.data.prompts import FORMS, _pose, poses

SOURCE = '''
def first(values: list[int]) -> int:
    """Return the first of the values, or 0 when there are none of them.

    >>> first([3, 4])
    3
    """
    if not values:
        return 0
    return values[0]


class Box:
    def second(self, values):
        """Return the second of the values that this box was asked about."""
        found = list(values)
        assert len(found) > 1
        return found[1]
'''
FIRST, SECOND = functions(SOURCE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("function", [FIRST, SECOND])
def test_every_form_can_be_made(form: str, function: Function) -> None:
    prompt = _pose(form, function, random.Random(1), "a/b.py", "x = 1")
    assert prompt.form == form
    said = prompt.text or "\n".join(content for _, content in prompt.messages)
    assert function.name in said or form == "raw-cut"
    assert bool(prompt.text) == form.startswith("raw")


@given(st.integers(0, 10_000), st.integers(1, len(FORMS)))
def test_prompts_of_a_function_differ_in_form_and_repeat_with_the_seed(seed: int, count: int) -> None:
    made = poses(FIRST, random.Random(seed), count, module="a.py")
    assert made == poses(FIRST, random.Random(seed), count, module="a.py")
    forms = [prompt.form for prompt in made]
    assert len(set(forms)) == len(forms) == count


def test_shares_sum_to_one() -> None:
    assert sum(FORMS.values()) == pytest.approx(1)


def test_long_code_falls_back_to_a_simpler_form() -> None:
    long = Function("f", "def f(x):", "Doc of f that is long.", "x = 1\n" * 1000, "", 1)
    assert _pose("repair", long, random.Random(0), "a.py", "").form == "scaffold"
    assert _pose("edit", long, random.Random(0), "a.py", "").form == "evalplus"


def test_the_agent_sends_the_same_texts() -> None:
    user, prefill = agent_prompts.scaffold(FIRST)
    assert user[1] == render("infill", task=FIRST.doc, current=None, path="", hints=[], plan="")
    assert prefill[1] == render("infill_prefill", scaffold=FIRST.prompt)
    *_, failed, repair = agent_prompts.repair(FIRST, random.Random(0))
    assert failed[1] == render("repair", evidence="first([3, 4]) returned None.\nIt should return 3.")
    assert repair[1] == render("repair_prefill", scaffold=FIRST.prompt)
    ((_, edit),) = agent_prompts.edit(FIRST, "a/b.py", "", random.Random(0))
    files = {"b.py": FIRST.code}
    task = edit.partition("\n")[0]
    assert edit == render("edit", task=task, files=files, tests={}, lang="python", evidence="")


def test_damaged_code_lacks_one_line_of_its_second_half() -> None:
    lines = FIRST.code.splitlines()
    left = agent_prompts.damaged(lines, random.Random(4))
    assert len(left) == len(lines) - 1
    assert left[: len(lines) // 2] == lines[: len(lines) // 2]


def test_above_is_the_kept_neighbour_in_the_same_file() -> None:
    assert _above([("a.py", SECOND), ("a.py", FIRST), ("b.py", SECOND)]) == {
        ("a.py", SECOND.line): FIRST.code
    }
