"""A linear map that computes several named projections of one input in one matmul (q, k and v; gate and up).

The names are those of the Hugging Face checkpoint, so that loaders and adapters can address a part by its own
name while the weights stay fused. `route` is accepted and ignored here: model.lora swaps in projections that
use it, model.packed ones whose weights are laid out for this CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn
from torch.nn import functional as F

from model.roles import Route

# Fewer rows take MKL's kernels for small matrices: below 8 with AVX2, below 16 with AVX-512.
_ROWS = 16


class Projection(nn.Module):
    """What every projection has: the input width and its parts' output widths, in order."""

    def __init__(self, features_in: int, parts: Mapping[str, int]) -> None:
        super().__init__()
        self.features_in = features_in
        self.parts = dict(parts)

    def rows(self) -> Iterator[tuple[str, int, int]]:
        """(part, start, stop) along the output dimension."""
        start = 0
        for part, width in self.parts.items():
            yield part, start, start + width
            start += width

    def forward(self, x: torch.Tensor, route: Route) -> torch.Tensor:
        raise NotImplementedError

    def __call__(self, x: torch.Tensor, route: Route) -> torch.Tensor:
        out: torch.Tensor = super().__call__(x, route)
        return out


class DenseProjection(Projection):
    """weight [sum of the parts' widths, features_in], frozen."""

    def __init__(self, features_in: int, parts: Mapping[str, int], bias: bool = False) -> None:
        super().__init__(features_in, parts)
        width = sum(self.parts.values())
        self.weight = nn.Parameter(torch.empty(width, features_in), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(width), requires_grad=False) if bias else None

    def forward(self, x: torch.Tensor, route: Route) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)


def rows_linear(x_ND: torch.Tensor, weight_OD: torch.Tensor) -> torch.Tensor:
    """x W^T by one kernel for any number of rows: a CPU has other float32 kernels for a few, which sum in
    another order, and a row's bits must not depend on how many there are.

    On two threads and from about 900 inputs on, a CPU may also cut the sum by the number of rows; the packed
    projections of model.packed do not.
    """
    rows = x_ND.shape[0]
    if rows >= _ROWS or x_ND.device.type != "cpu":
        return F.linear(x_ND, weight_OD)
    return F.linear(F.pad(x_ND, (0, 0, 0, _ROWS - rows)), weight_OD)[:rows]
