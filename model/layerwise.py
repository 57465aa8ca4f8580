"""An FP8 base against dequantised references, layer by layer, each layer on the same input.

Two references: `same`, the same arithmetic in plain torch (weights and activations through FP8, float32
sums), which the kernels must meet up to rounding; and `exact`, float32 with dequantised weights and
activations as they are, which tells what rounding activations to FP8 costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from model import fp8
from model.base import Base, Layer
from model.experts import Experts
from model.quantised import Fp8Experts, Fp8Projection

Linear = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


@dataclass(frozen=True, slots=True)
class LayerError:
    """Relative errors ‖ours - reference‖ / ‖reference‖ of a layer's update of the residual stream, where
    the reference takes our choice of experts (a tie that falls the other way is no error of arithmetic);
    and the share of our choices that the reference would make too (1 for dense layers).
    """

    layer: int
    same: float
    exact: float
    router_same: float
    router_exact: float


def _exact(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    y = F.linear(x.float(), fp8.dequantise(weight, scale))
    return y if bias is None else y + bias.float()


@contextmanager
def _computing_with(
    layer: Layer, linear: Linear, dtype: torch.dtype, ids: torch.Tensor | None
) -> Iterator[None]:
    """The layer's FP8 modules in plain torch, its other weights in `dtype`, its experts those of `ids`."""
    with ExitStack() as undo:

        def put(owner: Any, name: str, value: Any) -> None:
            if name in owner.__dict__:
                undo.callback(setattr, owner, name, owner.__dict__[name])
            else:
                undo.callback(delattr, owner, name)
            setattr(owner, name, value)

        def project(module: Fp8Projection) -> Any:
            return lambda x, route: linear(x, module.weight, module.scale, module.bias)

        for module in layer.modules():
            if isinstance(module, Fp8Projection):
                put(module, "forward", project(module))
            elif isinstance(module, Fp8Experts):
                put(module, "project", _expert(module, linear))
                put(module, "choose", _choosing(module, ids))
                put(module, "forward", lambda x, route, m=module: Experts.forward(m, x, route))
        kept = [p for p in layer.parameters() if p.dtype not in (torch.float8_e4m3fn, dtype)]
        for parameter in kept:
            undo.callback(setattr, parameter, "data", parameter.data)
            parameter.data = parameter.data.to(dtype)
        yield


def _expert(module: Fp8Experts, linear: Linear) -> Any:
    def project(x_ND: torch.Tensor, index: int, part: str) -> torch.Tensor:
        return linear(x_ND, getattr(module, part)[index], getattr(module, f"{part}_scale")[index], None)

    return project


def _choosing(module: Experts, ids: torch.Tensor | None) -> Any:
    def choose(x_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert ids is not None
        probability = F.linear(x_ND, module.router).float().softmax(-1)
        weight = probability.gather(1, ids)
        if module.normalise:
            weight = weight / weight.sum(-1, keepdim=True)
        return weight.to(x_ND.dtype), ids

    return choose


class _Causal:
    """Causal attention over one window without a cache."""

    def __call__(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def _run(base: Base, layer: Layer, x_BTD: torch.Tensor, at_BT: torch.Tensor) -> tuple[Any, Any]:
    """The layer's output, and the experts its tokens chose (None for a dense layer)."""
    chosen: list[torch.Tensor] = []

    def watch(module: nn.Module, args: tuple[torch.Tensor, object]) -> None:
        if isinstance(module, Experts):
            chosen.append(type(module).choose(module, args[0].reshape(-1, args[0].shape[-1]))[1].long())

    hook = layer.mlp.register_forward_pre_hook(watch)
    try:
        turn = tuple(part.to(x_BTD.dtype) for part in base.rotation(at_BT))
        return layer(x_BTD, turn, _Causal(), ()), chosen[0] if chosen else None
    finally:
        hook.remove()


def _error(ours: torch.Tensor, theirs: torch.Tensor, x: torch.Tensor) -> float:
    """Of the update: the residual stream itself would hide it."""
    due = theirs.double() - x.double()
    return float((ours.double() - theirs.double()).norm() / due.norm())


def _agreement(ours: torch.Tensor | None, theirs: torch.Tensor | None) -> float:
    if ours is None or theirs is None:
        return 1.0
    same = (ours[:, :, None] == theirs[:, None, :]).any(-1)
    return float(same.float().mean())


def layer_errors(base: Base, ids: torch.Tensor, start: int = 0) -> Iterator[LayerError]:
    """Run ids [1, T] from position `start` through `base`; each layer's output goes on as the next's
    input.
    """
    with torch.inference_mode():
        x_BTD = base.embed(ids)
        at_BT = torch.arange(start, start + ids.shape[1], device=ids.device)[None]
        for index, layer in enumerate(base.layers):
            ours, chosen = _run(base, layer, x_BTD, at_BT)
            with _computing_with(layer, fp8.linear, base.dtype, chosen):
                same, same_ids = _run(base, layer, x_BTD, at_BT)
            with _computing_with(layer, _exact, torch.float32, chosen):
                exact, exact_ids = _run(base, layer, x_BTD.float(), at_BT)
            yield LayerError(
                index,
                _error(ours, same, x_BTD),
                _error(ours, exact, x_BTD),
                _agreement(chosen, same_ids),
                _agreement(chosen, exact_ids),
            )
            x_BTD = ours
