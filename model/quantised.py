"""Modules of a base whose weights stay FP8 in memory, as the checkpoint stores them.

`keep_fp8(base, tensors)` swaps every projection and expert stack that the checkpoint holds in FP8, before
model.checkpoint fills them. On a GPU with FP8 units they compute with Triton kernels
(model.kernels.fp8_linear, model.kernels.grouped); elsewhere the same arithmetic runs in plain torch, slowly:
that is the reference. Gradients pass to the input, so heads can be trained on such a base.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from model import fp8
from model.base import MLP, Base
from model.experts import Experts
from model.projection import DenseProjection, Projection
from model.roles import Route

if TYPE_CHECKING:
    from model.checkpoint import Tensors
    from model.kernels.linear import Workspace


def _product(
    x_TK: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    if not x_TK.is_cuda:
        return fp8.linear(x_TK, weight, scale, bias)
    from model.kernels.fp8_linear import fp8_linear

    return fp8_linear(x_TK.contiguous(), weight, scale, bias=bias)


class _Frozen(torch.autograd.Function):
    """The same forward; backward takes the rounding of activations for the identity (straight-through)."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(weight, scale)
        # A copy: what is a view of something else may not be added to in place, as heads do.
        return _product(x, weight, scale, bias).clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        weight, scale = ctx.saved_tensors
        return grad @ fp8.dequantise(weight, scale, grad.dtype), None, None, None


def _differentiated(x: torch.Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad


def _linear(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    x_TK = x.reshape(-1, x.shape[-1])
    if _differentiated(x):
        y: torch.Tensor = _Frozen.apply(x_TK, weight, scale, bias)  # type: ignore[no-untyped-call]
    else:
        y = _product(x_TK, weight, scale, bias)
    return y.view(*x.shape[:-1], -1)


def _codes(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=torch.float8_e4m3fn), requires_grad=False)


def _scales(*shape: int) -> nn.Parameter:
    """float32, one for each 128x128 block."""
    *stack, rows, columns = shape
    blocks = (*stack, rows // fp8.BLOCK, columns // fp8.BLOCK)
    return nn.Parameter(torch.empty(blocks, dtype=torch.float32), requires_grad=False)


class Fp8Projection(Projection):
    """weight float8_e4m3fn [sum of the parts' widths, features_in], scale [out / 128, in / 128]."""

    def __init__(self, features_in: int, parts: Mapping[str, int], bias: bool = False) -> None:
        super().__init__(features_in, parts)
        width = sum(self.parts.values())
        self.weight, self.scale = _codes(width, features_in), _scales(width, features_in)
        self.bias = nn.Parameter(torch.empty(width), requires_grad=False) if bias else None

    def forward(self, x: torch.Tensor, route: Route) -> torch.Tensor:
        return _linear(x, self.weight, self.scale, self.bias)


class Fp8Experts(Experts):
    """gate_up and down float8_e4m3fn, their scales a 128x128 block (gate_up_scale [E, 2 * I / 128, D / 128]);
    the router stays in the compute dtype.
    """

    def __init__(self, hidden: int, intermediate: int, experts: int, chosen: int, normalise: bool) -> None:
        super().__init__(hidden, intermediate, experts, chosen, normalise)
        self.gate_up = _codes(experts, 2 * intermediate, hidden)
        self.gate_up_scale = _scales(experts, 2 * intermediate, hidden)
        self.down = _codes(experts, hidden, intermediate)
        self.down_scale = _scales(experts, hidden, intermediate)

    def project(self, x_ND: torch.Tensor, index: int, part: str) -> torch.Tensor:
        return _linear(x_ND, getattr(self, part)[index], getattr(self, f"{part}_scale")[index])

    def choose(self, x_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if _differentiated(x_ND) or not x_ND.is_cuda:
            return super().choose(x_ND)
        return self._pick(x_ND, None)

    def _pick(self, x_TD: torch.Tensor, space: Workspace | None) -> tuple[torch.Tensor, torch.Tensor]:
        from model.kernels.grouped import choose
        from model.kernels.linear import linear

        logits = F.linear(x_TD, self.router) if space is None else linear(x_TD, self.router, space)
        return choose(logits, self.chosen, self.normalise)

    def forward(self, x_BTD: torch.Tensor, route: Route) -> torch.Tensor:
        if _differentiated(x_BTD) or not x_BTD.is_cuda:
            return super().forward(x_BTD, route)
        return self.rows(x_BTD.reshape(-1, x_BTD.shape[-1]).contiguous()).view_as(x_BTD)

    def rows(
        self, x_TD: torch.Tensor, residual: torch.Tensor | None = None, space: Workspace | None = None
    ) -> torch.Tensor:
        """The kernels: nothing comes back to the host, so a CUDA graph can hold it. With a workspace the
        router too is computed so that a token's choice does not depend on how many others there are.
        """
        from model.kernels.grouped import ExpertWeights, sparse_mlp

        weights, ids = self._pick(x_TD, space)
        experts = ExpertWeights(self.gate_up, self.gate_up_scale, self.down, self.down_scale)
        return sparse_mlp(x_TD, weights, ids, experts, residual)


def keep_fp8(base: Base, tensors: Tensors) -> None:
    """Swap, in a base on the meta device, what the checkpoint holds in FP8 blocks that need no cutting."""
    for i, layer in enumerate(base.layers):
        prefix = f"model.layers.{i}"
        layer.qkv = _kept(layer.qkv, f"{prefix}.self_attn", tensors)
        layer.o = _kept(layer.o, f"{prefix}.self_attn", tensors)
        mlp = layer.mlp
        if isinstance(mlp, MLP):
            mlp.gate_up = _kept(mlp.gate_up, f"{prefix}.mlp", tensors)
            mlp.down = _kept(mlp.down, f"{prefix}.mlp", tensors)
        elif isinstance(mlp, Experts):
            experts, hidden, inner = mlp.down.shape
            parts = [
                f"{prefix}.mlp.experts.{e}.{p}_proj" for e in range(experts) for p in ("gate", "up", "down")
            ]
            if tensors.in_fp8(parts) and hidden % fp8.BLOCK == 0 and inner % fp8.BLOCK == 0:
                layer.mlp = Fp8Experts(hidden, inner, experts, mlp.chosen, mlp.normalise)


def _kept(projection: Projection, prefix: str, tensors: Tensors) -> Projection:
    widths = [projection.features_in, *projection.parts.values()]
    whole = all(width % fp8.BLOCK == 0 for width in widths)
    if not whole or not tensors.in_fp8([f"{prefix}.{part}" for part in projection.parts]):
        return projection
    assert isinstance(projection, DenseProjection)
    return Fp8Projection(projection.features_in, projection.parts, bias=projection.bias is not None)
