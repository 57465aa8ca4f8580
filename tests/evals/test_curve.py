"""The area under accuracy against parallelism, against the paper's formula."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.curve import Point, aup, weight


def reference_aup(rho: list[float], y: list[float], y_max: float) -> float:
    """The formula as written in d3LLM's paper, term by term."""

    def w(v: float) -> float:
        return min(math.exp(-3 * (1 - v / y_max)), 1)

    terms = [
        (rho[i] - rho[i - 1]) * (y[i] * w(y[i]) + y[i - 1] * w(y[i - 1])) / 2 for i in range(1, len(rho))
    ]
    return rho[0] * y[0] + sum(terms)


def test_aup_follows_the_definition() -> None:
    points = [Point(1, 80), Point(2.5, 79), Point(4, 76)]
    assert aup(points) == pytest.approx(reference_aup([1, 2.5, 4], [80, 79, 76], 80))
    assert aup(points, best=90) == pytest.approx(reference_aup([1, 2.5, 4], [80, 79, 76], 90))
    assert aup([Point(1, 70)]) == 70
    # The order given does not matter, and a point more than 5 points below the first is left out.
    assert aup(reversed([*points, Point(9, 60)])) == aup(points)
    assert aup([Point(1, 0), Point(2, 0)]) == 0


@given(
    st.lists(st.tuples(st.floats(1, 50), st.floats(60, 64)), min_size=1, max_size=6, unique_by=lambda p: p[0])
)
def test_aup_grows_with_parallelism_at_no_cost(pairs: list[tuple[float, float]]) -> None:
    points = [Point(*p) for p in pairs]
    best = max(p.accuracy for p in points)
    further = Point(max(p.rho for p in points) + 1, best)
    assert aup([*points, further], best) >= aup(points, best)
    assert 0 <= weight(60, 64) <= 1


def test_aup_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="at least one"):
        aup([])
    with pytest.raises(ValueError, match="positive"):
        aup([Point(0, 50)])
