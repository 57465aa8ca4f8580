"""What the CUDA runner decides on the host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.plan import WIDEST

cuda = pytest.importorskip("model.cuda", reason="triton, which compiles the kernels, is not installed")


@given(st.integers(0, WIDEST), st.integers(0, WIDEST), st.integers(0, 1))
def test_a_padded_pass_is_no_wider_than_attention_has_room_for(clean: int, draft: int, length: int) -> None:
    clean = min(clean, WIDEST - length)
    widths = (clean, min(draft, WIDEST - length - clean), length)
    layout = cuda._layout(widths)
    assert sum(layout) <= WIDEST
    assert all(padded >= width for padded, width in zip(layout, widths, strict=True))
    assert all((padded == 0) == (width == 0) for padded, width in zip(layout, widths, strict=True))
