"""Comparison rules, without a sandbox."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify import codec
from verify.judge import matches
from verify.request import Case


def judged(output: Any, expected: Any, **case: Any) -> bool:
    trees = [codec.parse(codec.encode(value)) for value in (output, expected)]
    return matches(Case(expected=expected, **case), *trees)


@pytest.mark.parametrize(
    ("output", "expected", "right"),
    [
        (1, True, False),
        (1, 1.0, False),
        ((1,), [1], False),
        (float("nan"), float("nan"), True),
        (-0.0, 0.0, True),
        ({1, 2}, {2, 1}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ("é", "e\u0301", False),
    ],
)
def test_exact(output: Any, expected: Any, right: bool) -> None:
    assert judged(output, expected) is right


@pytest.mark.parametrize(
    ("output", "expected", "right"),
    [
        (1, 1.0000001, True),
        ([1.0, (2,)], [1.00000001, (2,)], True),
        ([1.0], (1.0,), False),
        (True, 1, False),
        ({"a": 1.0}, {"a": 1.0 + 1e-9}, True),
        ({"a": 1.0}, {"b": 1.0}, False),
        ({1.0, 2.0}, {1.0 + 1e-9, 2.0}, True),
        (1e300, 1.0000001e300, True),
        (10**400, 1.0, False),
        (float("inf"), float("inf"), True),
        (float("inf"), 1e308, False),
        (1 + 1j, 1 + 1.0000001j, True),
        (float("nan"), 1.0, False),
    ],
)
def test_close(output: Any, expected: Any, right: bool) -> None:
    assert judged(output, expected, tolerance=1e-6) is right


def test_unordered_is_a_multiset_and_pairs_within_tolerance() -> None:
    assert judged([2, 1, 1], [1, 2, 1], compare="unordered")
    assert not judged([2, 1, 1], [1, 2, 2], compare="unordered")
    assert not judged((1, 2), [2, 1], compare="unordered")
    # greedy pairing would give 1.0 to 1.05 first and leave 0.95 without a partner
    assert judged([1.0, 1.1], [1.05, 0.95], compare="unordered", tolerance=0.06)
    assert not judged([1.0, 1.3], [1.05, 0.95], compare="unordered", tolerance=0.06)


@given(st.lists(st.integers(0, 5), max_size=8), st.randoms())
def test_any_shuffle_matches_unordered(values: list[int], random: Any) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert judged(shuffled, values, compare="unordered")
