"""When an output is right: EvalPlus's own rules, compared with evalplus where it can be asked."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.oracles import accepts, matches, view


@pytest.mark.parametrize(
    ("output", "expected", "atol", "right"),
    [
        (1, 1, 0, True),
        (1.0, 1, 0, True),
        (True, 1, 0, True),
        ("1", 1, 0, False),
        ([1, 2], (1, 2), 0, False),
        ((1, 2), (1, 2), 0, True),
        ({1, 2}, {2, 1}, 0, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, 0, True),
        (0.1 + 0.2, 0.3, 0, True),  # floats are close without asking
        ([0.1 + 0.2], [0.3], 0, True),
        ((0.1 + 0.2,), [0.3], 0, False),
        ([0.3, 1], [0.3 + 1e-9, 1], 0, False),  # not all floats, no tolerance given
        ([0.3, 1], [0.3 + 1e-9, 1], 1e-6, True),
        ([0.3], [0.3, 0.4], 1e-6, False),
        (1e10, 1e10 + 100, 0, True),  # rtol 1e-7, as numpy's allclose
        (1e10, 1e10 + 2000, 0, False),
        (1, 1.0000001, 0, False),  # an int is not close to a float
        (math.nan, math.nan, 0, True),
        (math.inf, math.inf, 0, True),
        (None, None, 0, True),
        (None, 0.5, 0, False),
        ([], [], 0, True),
    ],
)
def test_matches(output: Any, expected: Any, atol: float, right: bool) -> None:
    assert matches(output, expected, atol) is right


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4),
    st.lists(st.floats(-1e-5, 1e-5), min_size=4, max_size=4),
    st.sampled_from([0.0, 1e-6, 1e-4]),
)
def test_tolerance_is_numpys(expected: list[float], shift: list[float], atol: float) -> None:
    import numpy as np

    output = [a + b for a, b in zip(expected, shift, strict=False)]
    theirs = output == expected or bool(np.allclose(output, expected, rtol=1e-07, atol=atol or 1e-6))
    assert matches(output, expected, atol) is theirs


def test_find_zero_is_judged_to_the_end() -> None:
    # x^2 - 4 has the zeros 2 and -2: both are right, whatever the reference says; 3 is not.
    args = [[-4, 0, 1]]
    assert accepts("humaneval", "find_zero", 1e-4, args, -2.0, 2.0)
    assert accepts("humaneval", "find_zero", 1e-4, args, 2.0000001, 2.0)
    assert not accepts("humaneval", "find_zero", 1e-4, args, 3.0, 2.0)
    assert not accepts("humaneval", "find_zero", 1e-4, args, "2", 2.0)
    assert not accepts("humaneval", "find_zero", 1e-4, args, None, 2.0)


def test_mbpp_oracles_agree_with_evalplus() -> None:
    oracle = pytest.importorskip("evalplus.eval._special_oracle")
    for base, height in [(3, 4), (4, 5), (1, 2), (0, 7)]:
        assert accepts("mbpp", "surface_Area", 0, [base, height], oracle._surface_Area(base, height), -1)
        assert not accepts("mbpp", "surface_Area", 0, [base, height], -5, -1)
    for first, second in [(123, 256), (1, 100), (23, 56)]:
        right = oracle._digit_distance_nums(first, second)
        assert accepts("mbpp", "digit_distance_nums", 0, [first, second], right, -1)
        assert not accepts("mbpp", "digit_distance_nums", 0, [first, second], right + 1, -1)
    assert {e for e in oracle.MBPP_OUTPUT_SET_EQ_TASKS if view("mbpp", e) == "set"} == set(
        oracle.MBPP_OUTPUT_SET_EQ_TASKS
    )
    assert {e for e in oracle.MBPP_OUTPUT_NOT_NONE_TASKS if view("mbpp", e) == "notnone"} == set(
        oracle.MBPP_OUTPUT_NOT_NONE_TASKS
    )


def test_views_belong_to_their_dataset() -> None:
    assert view("humaneval", "Diff") == "value"
    assert not accepts("humaneval", "sum_div", 0, [1], 0, 5)
    assert accepts("mbpp", "sum_div", 0, [1], 0, 5)
    assert accepts("mbpp", "are_equivalent", 0, [1, 2], "anything", False)
