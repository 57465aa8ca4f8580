"""A projection of the CUDA path: one launch for tokens of all roles, each with the weight of its head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch.nn import functional as F

from model.kernels.fp8_linear import fp8_linear
from model.kernels.linear import Workspace, linear
from model.kernels.pointwise import rms_norm
from model.lora import Adapter, RoutedProjection
from model.projection import DenseProjection, Projection
from model.quantised import Fp8Projection


@dataclass(frozen=True, slots=True)
class Matrix:
    """A fused projection, and what it becomes with each head merged in.

    Merged, a head costs a second reading of the weight and no launch of its own, where A and B would cost up
    to four; tokens of all roles go through one launch. Only an FP8 weight, which cannot take a head in, keeps
    (A [parts * r, in], B [out, parts * r], scaled; padded to what the kernel takes). scale: of an FP8 weight.
    """

    weight: torch.Tensor
    scale: torch.Tensor | None
    bias: torch.Tensor | None
    merged: Mapping[str, torch.Tensor]
    beside: Mapping[str, tuple[torch.Tensor, torch.Tensor]]

    @classmethod
    def of(cls, projection: Projection, dtype: torch.dtype) -> Matrix:
        routed = projection if isinstance(projection, RoutedProjection) else None
        inner = cast("DenseProjection | Fp8Projection", routed.inner if routed is not None else projection)
        scale = inner.scale.detach() if isinstance(inner, Fp8Projection) else None
        weight, bias = inner.weight.detach(), None if inner.bias is None else inner.bias.detach()
        merged, beside = {}, {}
        for name, adapter in routed.adapters.items() if routed is not None else ():
            a, b = _stack(inner, cast("Adapter", adapter))
            if scale is None:
                merged[name] = (weight.float() + b @ a).to(dtype)
            else:
                pad = -a.shape[0] % 64
                beside[name] = F.pad(a, (0, 0, 0, pad)).to(dtype), F.pad(b, (0, pad)).to(dtype)
        return cls(weight, scale, bias, merged, beside)

    def __call__(
        self,
        x_TK: torch.Tensor,
        space: Workspace,
        route: Sequence[tuple[int, int, str]],
        residual: torch.Tensor | None = None,
        gated: bool = False,
    ) -> torch.Tensor:
        """y [T, out] of x [T, in]."""
        if self.scale is None:
            first, *also = self._runs(x_TK.shape[0], route)
            return linear(x_TK, first[1], space, bias=self.bias, residual=residual, gated=gated, also=also)
        y = fp8_linear(x_TK, self.weight, self.scale, bias=self.bias, residual=residual)
        for start, stop, head in route:
            if head in self.beside:
                a, b = self.beside[head]
                z = linear(x_TK[start:stop], a, space)
                linear(z, b, space, residual=y[start:stop], out=y[start:stop])
        if gated:
            gate, up = y.chunk(2, -1)
            return F.silu(gate) * up
        return y

    def onward(
        self,
        x_TK: torch.Tensor,
        space: Workspace,
        route: Sequence[tuple[int, int, str]],
        residual: torch.Tensor,
        norm: tuple[torch.Tensor, float],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The residual stream behind this projection, and its RMSNorm (weight, epsilon) for the next one."""
        normed = torch.empty_like(residual)
        if self.scale is None and self.bias is None:
            (_, weight), *also = self._runs(x_TK.shape[0], route)
            after = (*norm, normed)
            return linear(x_TK, weight, space, residual=residual, also=also, after=after), normed
        y = self(x_TK, space, route, residual=residual)
        rms_norm(y, *norm, normed)
        return y, normed

    def of_one(self, route: Sequence[tuple[int, int, str]]) -> torch.Tensor:
        """The weight that a token alone meets."""
        return self._runs(1, route)[0][1]

    def _runs(self, T: int, route: Sequence[tuple[int, int, str]]) -> list[tuple[int, torch.Tensor]]:
        """(first token, weight) of each run of tokens; neighbours with one weight are one run."""
        runs: list[tuple[int, torch.Tensor]] = []
        at = 0
        for start, stop, head in [*route, (T, T, "")]:
            spans = ((at, start, self.weight), (start, stop, self.merged.get(head, self.weight)))
            for first, last, weight in spans:
                if first < last and not (runs and runs[-1][1] is weight):
                    runs.append((first, weight))
            at = stop
        return runs


def _stack(projection: Projection, adapter: Adapter) -> tuple[torch.Tensor, torch.Tensor]:
    """The parts' B as one block-diagonal matrix over the stacked A, in float32."""
    a = adapter.a.detach().float()
    b = a.new_zeros(sum(projection.parts.values()), a.shape[0])
    spans = {part: (start, stop) for part, start, stop in projection.rows()}
    for i, (part, matrix) in enumerate(adapter.b.items()):
        start, stop = spans[part]
        b[start:stop, i * adapter.r : (i + 1) * adapter.r] = matrix.detach().float() * adapter.scale
    return a.contiguous(), b
