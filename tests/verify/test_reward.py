"""Correctness first: no wrong answer is ever worth as much as a right one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.reward import reward
from verify.verdict import NEVER_A_REWARD, Status, Verdict


@given(st.sampled_from(sorted(set(Status) - NEVER_A_REWARD)), st.integers(0, 9), st.integers(0, 200))
def test_lexicographic(status: Status, passed: int, steps: int) -> None:
    if status is Status.PASSED:
        return
    wrong = reward(Verdict(status, passed=passed, total=10), 0, 100, partial=True)
    right = reward(Verdict(Status.PASSED, passed=10, total=10), steps, 100)
    assert wrong is not None
    assert right is not None
    assert 0 <= wrong < 1 <= right <= 1.2


def test_our_own_faults_are_masked() -> None:
    for status in NEVER_A_REWARD:
        assert reward(Verdict(status, passed=3, total=3)) is None


def test_fewer_steps_are_better_and_need_a_budget() -> None:
    passed = Verdict(Status.PASSED, 1, 1)
    assert reward(passed, 10, 100) > reward(passed, 20, 100) > reward(passed, 200, 100)  # type: ignore[operator]  # no None here
    assert reward(passed) == 1.0
    with pytest.raises(ValueError, match="budget"):
        reward(passed, 5)
