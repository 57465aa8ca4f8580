"""The layers of a dense base for one token of the runner's own cache (model.kernels.token)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import triton

from model.kernels.attention import attend_one
from model.kernels.parts import Parts
from model.kernels.slices import TILE
from model.kernels.token import Stream, finish, project
from model.quantised import Fp8Experts

if TYPE_CHECKING:
    from model.cuda import CudaRunner
    from model.cuda_matrix import Matrix


Dense = tuple["Matrix", "Matrix", "Matrix", "Matrix"]
"""qkv, o, gate_up and down of a layer."""


def dense_layers(owner: CudaRunner) -> list[Dense] | None:
    """Those of its base, where all are dense and unquantised, q and k have no norms and only qkv a bias."""
    found: list[Dense] = []
    for layer, (qkv, o, mlp) in zip(owner.base.layers, owner.layers, strict=True):
        if isinstance(mlp, Fp8Experts) or layer.q_norm is not None or qkv.scale is not None:
            return None
        if any(matrix.bias is not None for matrix in (o, *mlp)):
            return None
        found.append((qkv, o, *mlp))
    return found


class OneToken:
    """Over the layers of a runner. The buffers are shared by all layers: each is read by the next launch or
    the one after it.
    """

    def __init__(self, owner: CudaRunner, layers: list[Dense]) -> None:
        self._owner, self._layers = owner, layers
        qkv, o, gate_up, down = (matrix.weight for matrix in layers[0])
        self._qkv, self._o, self._down = Parts.of(qkv), Parts.of(o), Parts.of(down)
        self._wide = Parts.of(gate_up, gated=True)
        made = ((self._qkv, qkv), (self._o, o), (self._wide, gate_up), (self._down, down))
        # A program's own copy of its input.
        most = max(triton.cdiv(p.sums.shape[1], TILE) * p.slices * weight.shape[1] for p, weight in made)
        self._own = torch.empty(most, dtype=owner.base.dtype, device=owner.device)
        self._kept = torch.empty(2, owner.base.config.hidden, dtype=owner.base.dtype, device=owner.device)

    def __call__(
        self, x_1D: torch.Tensor, route: Sequence[tuple[int, int, str]], fields: torch.Tensor, reach: int
    ) -> torch.Tensor:
        """Final normed state [1, D]; the token's keys and values are in the cache."""
        owner, own = self._owner, self._own
        base, eps, length = owner.base, owner.base.config.eps, owner.device_length
        role, position, block, begin = fields.unbind(0)
        first, second = self._kept
        stream = Stream(x_1D)
        for index, (layer, matrices) in enumerate(zip(base.layers, self._layers, strict=True)):
            qkv, o, gate_up, down = matrices
            norm = layer.input_norm.weight, eps
            project(stream, qkv.of_one(route), self._qkv, own, norm=norm, kept=first)
            x = stream.x if stream.parts is None else first
            attended = attend_one(
                self._qkv.sums, self._qkv.slices, qkv.bias, owner.turn, owner.kv.keys[index, 0],
                owner.kv.values[index, 0], (role, position, block, begin), length, reach, owner.attention,
            )  # fmt: skip
            project(attended, o.of_one(route), self._o, own)
            stream, norm = Stream(x, self._o), (layer.post_norm.weight, eps)
            project(stream, gate_up.of_one(route), self._wide, own, norm=norm, kept=second, gated=True)
            project(self._wide, down.of_one(route), self._down, own)
            stream = Stream(second, self._down)
        state_1D = torch.empty_like(x_1D)
        finish(stream, (base.norm.weight, eps), state_1D)
        return state_1D
