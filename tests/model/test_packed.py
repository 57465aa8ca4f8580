"""A row of a packed matmul has the same bits in a pass of any width, wide ones too."""

from __future__ import annotations

import pytest
import torch

from model.packed import ROW_CEILING, Packed, supported


@pytest.mark.skipif(not supported(), reason="this torch or CPU has no packed matmuls")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(1152, 896), (896, 4864)])
def test_a_row_does_not_depend_on_the_width_of_the_pass(dtype: torch.dtype, shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    matmul = Packed((torch.randn(shape, generator=generator) * 0.02).to(dtype))
    x_TD = torch.randn(1, 128, shape[1], generator=generator).to(dtype)
    alone = torch.cat([matmul(x_TD[:, at : at + 1]) for at in range(128)], 1)
    for width in (2, 8, ROW_CEILING, ROW_CEILING + 1, 48, 64, 65, 128):
        assert torch.equal(matmul(x_TD[:, :width]), alone[:, :width])
