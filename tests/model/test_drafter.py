"""Where a draft's siblings begin."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.drafter import promises, sibling_places
from model.plan import SIBLING

chances = st.floats(0.01, 0.99).flatmap(lambda best: st.tuples(st.just(best), st.floats(0, 1 - best)))


@given(st.lists(chances, min_size=1, max_size=12), st.integers(0, 4))
def test_a_place_promises_what_a_plain_count_expects(sure, first):
    known = [(0.5, 0.5)] * first  # what stands at positions of known tokens means nothing
    gains = promises(torch.tensor([*known, *sure], dtype=torch.float64), torch.tensor(first)).tolist()
    assert gains[:first] == [0.0] * first
    for at in range(len(sure)):
        reach = 1.0
        for best, _ in sure[:at]:
            reach *= best
        behind = [best for best, _ in sure[at + 1 :]]
        run = sum(itertools.accumulate(behind, lambda a, b: a * b))
        assert gains[first + at] == pytest.approx(reach * sure[at][1] * (1 + min(run, SIBLING - 1)))


def test_the_best_places_come_first():
    sure = torch.tensor([(0.9, 0.05), (0.5, 0.45), (0.9, 0.1)])
    assert sibling_places(sure, 2) == [1, 0]
    assert sibling_places(sure, 0) == []


def test_a_place_that_promises_nothing_gets_none():
    assert sibling_places(torch.tensor([(0.9, 0.0), (0.5, 0.45)]), 2) == [1]
