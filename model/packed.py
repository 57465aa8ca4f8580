"""Projections whose weights are laid out for this CPU (oneDNN), and why their rows do not depend on the
batch.

`pack(base)` swaps every dense projection, the output head and the adapters. Two reasons:

Speed: oneDNN reorders a plain weight on every call; laid out once, a pass takes a half to a third of the
time.

Exactness: the matmuls of a pass of 1, 8 or 128 tokens give every row the same bits, so a token's logits do
not depend on how many others are in the pass: `verified` equals `ar` and a batch equals its members without
any rule for ties. Plain float32 matmuls (MKL) do not have this property. A pass of one row is run as two
where one row alone takes another kernel (`ROW_FLOOR`), one of many rows in bfloat16 in parts
(`ROW_CEILING`).
"""

from __future__ import annotations

import torch
from torch import nn

from model.base import Base
from model.lora import Adapter, RoutedProjection
from model.projection import DenseProjection, Projection
from model.roles import Route

ROW_FLOOR = 2
ROW_CEILING = 32
"""From 33 rows on oneDNN's bfloat16 kernels sum in another order on CPUs with AMX (docs/log.md)."""


class Packed:
    """One weight [out, in], packed. Not a Parameter: its layout is opaque."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), None)
        self.bias = bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.numel() // x.shape[-1]
        if rows < ROW_FLOOR:
            return self._run(x.expand(ROW_FLOOR, *x.shape[1:]))[:1]
        if rows > ROW_CEILING and x.dtype == torch.bfloat16:
            parts = torch.split(x.reshape(rows, x.shape[-1]), ROW_CEILING)
            return torch.cat([self(part) for part in parts]).view(*x.shape[:-1], -1)
        return self._run(x)

    def _run(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x.contiguous(), self.weight, self.bias, "none", [], ""
        )
        return y


class PackedProjection(Projection):
    def __init__(self, dense: DenseProjection) -> None:
        super().__init__(dense.features_in, dense.parts)
        self.matmul = Packed(dense.weight, dense.bias)

    def forward(self, x: torch.Tensor, route: Route) -> torch.Tensor:
        return self.matmul(x)


class PackedAdapter(nn.Module):
    """An Adapter for inference; the same interface, the same result up to rounding."""

    def __init__(self, adapter: Adapter, dtype: torch.dtype) -> None:
        super().__init__()
        self.r, self.scale = adapter.r, adapter.scale
        self.a = Packed(adapter.a.to(dtype))
        self.b = {part: Packed(b.to(dtype)) for part, b in adapter.b.items()}

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        z = self.a(x) * self.scale
        return [b(z[..., i * self.r : (i + 1) * self.r]) for i, b in enumerate(self.b.values())]


def supported() -> bool:
    """Does this torch have the packed operators, and this CPU oneDNN?"""
    return bool(
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch has no types here
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


def pack(base: Base) -> None:
    """Pack all projections of a CPU base in place; the plain weights are freed as it goes (the embedding
    stays).
    """
    for owner, attribute, projection in list(base.projections()):
        setattr(owner, attribute, _packed(projection, base.dtype))
    if isinstance(base.head, DenseProjection):
        rows = base.head.weight
        base.head = PackedProjection(base.head)
        base.head.weight = rows  # drafts look rows up (Base.head_weight); tied, it is the embedding anyway


def _packed(projection: Projection, dtype: torch.dtype) -> Projection:
    if isinstance(projection, DenseProjection):
        return PackedProjection(projection)
    if isinstance(projection, RoutedProjection):
        projection.inner = _packed(projection.inner, dtype)
        for name, adapter in projection.adapters.items():
            if isinstance(adapter, Adapter):
                projection.adapters[name] = PackedAdapter(adapter, dtype)
    return projection
