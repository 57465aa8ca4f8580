"""Where a draft's siblings begin."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.drafter import sibling_places
from model.plan import SIBLING

chances = st.floats(0.01, 0.99).flatmap(lambda best: st.tuples(st.just(best), st.floats(0, 1 - best)))


@given(st.lists(chances, max_size=12))
def test_a_place_promises_what_a_plain_count_expects(sure):
    places = dict(sibling_places(sure, len(sure)))
    for at in range(len(sure)):
        reach = 1.0
        for best, _ in sure[:at]:
            reach *= best
        behind = [best for best, _ in sure[at + 1 :]]
        run = sum(itertools.accumulate(behind, lambda a, b: a * b))
        assert places.get(at, 0.0) == pytest.approx(reach * sure[at][1] * (1 + min(run, SIBLING - 1)))


def test_the_best_places_come_first():
    sure = [(0.9, 0.05), (0.5, 0.45), (0.9, 0.1)]
    assert [at for at, _ in sibling_places(sure, 2)] == [1, 0]
    assert sibling_places(sure, 0) == []
