"""The plain projections of the reference: a row's bits and how many rows there are."""

from __future__ import annotations

import pytest
import torch

from model.projection import rows_linear


@pytest.mark.parametrize("features", [64, 128, 256, 384, 768])
def test_a_row_does_not_depend_on_how_many_there_are(features: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(320, features, generator=generator)
    x = torch.randn(96, features, generator=generator)
    whole = rows_linear(x, weight)
    for rows in range(1, 40):
        assert torch.equal(rows_linear(x[:rows], weight), whole[:rows]), rows
