"""Where siblings promise most, on a device as in the reference."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.drafter import sibling_places
from tests.model.test_drafter import chances

pytest.importorskip("triton", reason="triton, which compiles the kernels, is not installed")


@given(st.lists(chances, min_size=1, max_size=12), st.integers(0, 4))
def test_promises_are_those_of_the_reference(sure, first):
    from model.draftparts import promises

    before = [(0.5, 0.5)] * first  # positions of known tokens: what stands there means nothing
    gains = promises(torch.tensor([*before, *sure], dtype=torch.float64), torch.tensor(first))
    places = dict(sibling_places(sure, len(sure)))
    expected = [0.0] * first + [places.get(at, 0.0) for at in range(len(sure))]
    assert gains.tolist() == pytest.approx(expected, abs=1e-9)
