"""Old against new: what counts as better."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.finetune.evaluation import Comparison, Estimate, compare, figures, verdict


def rows(flags: list[bool], steps: list[int]) -> list[dict[str, Any]]:
    return [
        {"task": str(i), "ok": ok, "forwards": n, "tokens": 4 * n, "wall_s": 0.1}
        for i, (ok, n) in enumerate(zip(flags, steps, strict=True))
    ]


PAIRS = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 99), st.integers(1, 99)), min_size=1)


def compared(pairs: list[tuple[bool, bool, int, int]]) -> Comparison:
    old, new, before, after = zip(*pairs, strict=True)
    return compare(rows(list(old), list(before)), rows(list(new), list(after)))


@given(PAIRS)
def test_flips_and_intervals_fit_together(pairs: list[tuple[bool, bool, int, int]]) -> None:
    found = compared(pairs)
    n = len(pairs)
    assert found.difference.value == pytest.approx((len(found.won) - len(found.lost)) / n)
    assert found.difference.low <= found.difference.value + 1e-9
    assert found.difference.value <= found.difference.high + 1e-9
    assert 0 < found.p <= 1
    assert found.both + len(found.won) <= n
    if found.difference.value < 0:
        assert not verdict(found)[0], "never worse in pass@1"


@given(PAIRS)
def test_a_set_is_not_better_than_itself(pairs: list[tuple[bool, bool, int, int]]) -> None:
    same = [(a, a, n, n) for a, _, n, _ in pairs]
    assert verdict(compared(same)) == (False, "neither pass@1 nor steps improved by more than chance")


def test_fewer_steps_at_equal_pass_are_promoted() -> None:
    promoted, why = verdict(compared([(True, True, 20 + i % 3, 12) for i in range(40)]))
    assert promoted
    assert "fewer steps" in why


def test_more_passes_are_promoted_even_with_more_steps() -> None:
    promoted, why = verdict(compared([(False, True, 5, 50)] * 20 + [(True, True, 5, 9)] * 20))
    assert promoted
    assert why == "pass@1 rose by 50.0 points"


@pytest.mark.parametrize("pair", [(True, True, 20, 1), (False, True, 20, 1)])
def test_a_handful_of_tasks_decides_nothing(pair: tuple[bool, bool, int, int]) -> None:
    assert not verdict(compared([pair] * 7))[0]
    assert verdict(compared([pair] * 8))[0]


def test_fewer_steps_with_fewer_passes_are_not() -> None:
    promoted, why = verdict(compared([(True, True, 20, 1)] * 99 + [(True, False, 20, 1)]))
    assert not promoted
    assert why == "pass@1 fell by 1.0 points"


def test_steps_of_wrong_answers_do_not_count() -> None:
    found = compared([(True, True, 10, 10)] * 5 + [(False, False, 90, 1)] * 5)
    assert found.steps.value == 0
    assert found.both == 5
    assert math.isnan(compared([(False, True, 3, 3)]).steps.value)


def test_the_pairs_must_be_the_same_tasks() -> None:
    with pytest.raises(ValueError, match="same tasks"):
        compare(rows([True], [1]), rows([True, True], [1, 1]))
    with pytest.raises(ValueError, match="at least one"):
        compare([], [])


def test_figures() -> None:
    assert figures(rows([True, False], [10, 30])) == {
        "pass@1": [0.5, 0.0, 1.0],
        "steps_per_task": [20.0, 10.0, 30.0],
        "tokens_per_task": 80.0,
        "tokens_per_forward": 4.0,
        "tokens_per_s": 800.0,
    }
    assert math.isnan(Estimate.of([]).value)
    assert Estimate.of([]).as_list() == [None, None, None], "JSON has no nan"
