"""The CUDA path: passes of fixed layout as CUDA graphs over our Triton kernels, row-exact like the CPU path.

`CudaRunner` is a Runner whose `run` replays a graph for the layout of the pass (how many CLEAN, DRAFT and
LENGTH tokens, padded to a few sizes) and the reach of the cache. Weights, cache and inputs live in fixed
buffers; a pass costs one copy in, one replay. Dense bases in bfloat16; others run on the plain torch path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch.nn import functional as F

from model.base import MLP, Base
from model.heads import HeadSet
from model.kernels.attention import AttentionSpace, attend
from model.kernels.linear import Workspace, linear
from model.kernels.pointwise import rms_norm, rotate_write
from model.kvcache import KVCache, pack_tokens
from model.lora import Adapter, RoutedProjection
from model.plan import WIDEST
from model.projection import DenseProjection, Projection
from model.quantised import Fp8Projection
from model.roles import Role
from model.rope import rotation
from model.runner import PREFILL, Part, Runner

_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512)
_REACH = 512
_CACHE = 32_768


def supported(base: Base) -> bool:
    """Do the kernels cover this base?"""
    config = base.config
    return (
        base.device.type == "cuda"
        and base.dtype == torch.bfloat16
        and config.experts == 0
        and not any(isinstance(module, Fp8Projection) for module in base.modules())
        and config.hidden % 64 == 0
        and config.intermediate % 64 == 0
        and (config.heads * config.head_dim) % 64 == 0
    )


@dataclass(frozen=True, slots=True)
class Matrix:
    """A fused projection and its heads' updates: head -> (A [parts * r, in], B [out, parts * r], scaled)."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    heads: Mapping[str, tuple[torch.Tensor, torch.Tensor]]

    @classmethod
    def of(cls, projection: Projection) -> Matrix:
        routed = projection if isinstance(projection, RoutedProjection) else None
        dense = cast("DenseProjection", routed.inner if routed is not None else projection)
        heads = {}
        for name, adapter in routed.adapters.items() if routed is not None else ():
            heads[name] = _stack(dense, cast("Adapter", adapter))
        return cls(dense.weight.detach(), None if dense.bias is None else dense.bias.detach(), heads)

    def __call__(
        self,
        x_TK: torch.Tensor,
        space: Workspace,
        route: Sequence[tuple[int, int, str]],
        residual: torch.Tensor | None = None,
    ) -> torch.Tensor:
        y = linear(x_TK, self.weight, space, bias=self.bias, residual=residual)
        for start, stop, head in route:
            if head in self.heads:
                a, b = self.heads[head]
                z = linear(x_TK[start:stop], a, space)
                linear(z, b, space, residual=y[start:stop], out=y[start:stop])
        return y


def _stack(dense: DenseProjection, adapter: Adapter) -> tuple[torch.Tensor, torch.Tensor]:
    """The parts' B as one block-diagonal matrix over the stacked A."""
    weight = dense.weight
    a = adapter.a.detach().to(weight.dtype)
    b = weight.new_zeros(weight.shape[0], a.shape[0])
    spans = {part: (start, stop) for part, start, stop in dense.rows()}
    for i, (part, matrix) in enumerate(adapter.b.items()):
        start, stop = spans[part]
        b[start:stop, i * adapter.r : (i + 1) * adapter.r] = matrix.detach().to(weight.dtype) * adapter.scale
    return a.contiguous(), b


Layout = tuple[int, int, int]
"""Padded widths of the CLEAN, DRAFT and LENGTH parts."""


class _Graph:
    """One captured pass: inputs x, role.. position.. in; states out."""

    def __init__(self, owner: CudaRunner, layout: Layout, reach: int) -> None:
        T = sum(layout)
        device = owner.device
        self.x = torch.zeros(T, owner.base.config.hidden, dtype=owner.base.dtype, device=device)
        # Rows: role, position, block, begin; one copy fills them all.
        self.fields = torch.zeros(4, T, dtype=torch.int32, device=device)
        self.fields[0] = -1
        route = []
        start = 0
        for role, width in zip((Role.CLEAN, Role.DRAFT, Role.LENGTH), layout, strict=True):
            head = owner.head_of.get(role)
            if width and head is not None:
                route.append((start, start + width, head))
            start += width
        self._run: Callable[[], torch.Tensor] = partial(owner.forward, self.x, self.fields, route, reach)
        if device.type != "cuda":
            return
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch has no types here
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            self._run()  # compiles the kernels
        torch.cuda.current_stream(device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.states = self._run()

    def replay(self) -> torch.Tensor:
        """States of the inputs as they are now; on a device without graphs the kernels run one by one."""
        if self.x.device.type != "cuda":
            return self._run()
        self._graph.replay()
        return self.states


class CudaRunner(Runner):
    def __init__(
        self, base: Base, heads: HeadSet | None = None, head_of: Mapping[Role, str] | None = None
    ) -> None:
        super().__init__(base, heads, head_of)
        config = base.config
        self._slots = min(config.context, _CACHE) + WIDEST
        self._kv = KVCache(config, 1, self._slots, base.dtype, self.device)
        self.device_length = torch.zeros(1, dtype=torch.int32, device=self.device)
        self.space = Workspace(self.device)
        slots = self._kv.keys.shape[3]
        self._attention = AttentionSpace(self.device, 512, config.heads, config.head_dim, slots)
        positions = torch.arange(slots, device=self.device)[None]
        cos, sin = rotation(base.inverse_frequency, base.rope_scale, positions, base.dtype)
        self._cos, self._sin = cos[0, :, 0].contiguous(), sin[0, :, 0].contiguous()
        self._layers = [
            (
                Matrix.of(layer.qkv),
                Matrix.of(layer.o),
                Matrix.of(cast("MLP", layer.mlp).gate_up),
                Matrix.of(cast("MLP", layer.mlp).down),
            )
            for layer in base.layers
        ]
        self._graphs: dict[tuple[Layout, int], _Graph] = {}

    def cache(self, capacity: int, rows: int = 1) -> KVCache:
        """The one cache that the graphs know, emptied."""
        if rows != 1 or capacity + WIDEST > self._slots:
            return super().cache(capacity, rows)
        self._kv.length = [0]
        self._kv.capacity = capacity + WIDEST
        return self._kv

    def forward(
        self,
        x_TD: torch.Tensor,
        fields: torch.Tensor,
        route: Sequence[tuple[int, int, str]],
        reach: int,
    ) -> torch.Tensor:
        """Final normed states; everything on the device, nothing depends on the host."""
        config, space = self.base.config, self.space
        T = x_TD.shape[0]
        H, K, eps = config.heads, config.head_dim, config.eps
        role, position, block, begin = fields.unbind(0)
        normed = torch.empty_like(x_TD)
        q_THK = torch.empty(T, H, K, dtype=x_TD.dtype, device=x_TD.device)
        o_THK = torch.empty_like(q_THK)
        x = x_TD
        for index, (layer, (qkv, o, gate_up, down)) in enumerate(
            zip(self.base.layers, self._layers, strict=True)
        ):
            keys, values = self._kv.keys[index, 0], self._kv.values[index, 0]
            rms_norm(x, layer.input_norm.weight, eps, normed)
            fused = qkv(normed, space, route)
            norms = None
            if layer.q_norm is not None and layer.k_norm is not None:
                norms = (layer.q_norm.weight, layer.k_norm.weight, eps)
            rotate_write(
                fused, self._cos, self._sin, position, self.device_length, q_THK, keys, values, norms
            )
            attend(
                q_THK,
                keys,
                values,
                (role, position, block, begin),
                self.device_length,
                reach,
                self._attention,
                o_THK,
            )
            x = o(o_THK.view(T, H * K), space, route, residual=x)
            rms_norm(x, layer.post_norm.weight, eps, normed)
            if gate_up.heads:
                gate, up = gate_up(normed, space, route).chunk(2, -1)
                wide = F.silu(gate) * up
            else:
                wide = linear(normed, gate_up.weight, space, gated=True)
            x = down(wide, space, route, residual=x)
        out = torch.empty_like(x)
        rms_norm(x, self.base.norm.weight, eps, out)
        return out

    @torch.inference_mode()
    def run(self, cache: KVCache, parts: Sequence[Part]) -> torch.Tensor:
        if cache is not self._kv:
            return super().run(cache, parts)
        widths = [sum(p.x.shape[1] for p in parts if p.role == role) for role in Role]
        layout = cast("Layout", tuple(_padded(width) for width in widths))
        # Before the graph is made: its warm-up writes behind the committed tokens.
        self.device_length.fill_(cache.length[0])
        graph = self._graph(layout, cache.length[0])
        tokens = pack_tokens([part.tokens for part in parts])
        x = torch.cat([part.x for part in parts], 1)[0]
        fields = torch.stack((tokens.role, tokens.position, tokens.block, tokens.begin))[:, 0].int()
        real: list[slice] = []
        at = start = 0
        for width, padded in zip(widths, layout, strict=True):
            here = slice(at, at + width)
            graph.x[here] = x[start : start + width]
            graph.fields[:, here] = fields[:, start : start + width]
            graph.fields[0, at + width : at + padded] = -1
            real.append(here)
            at, start = at + padded, start + width
        states = graph.replay()
        return torch.cat([states[here] for here in real])

    def _graph(self, layout: Layout, length: int) -> _Graph:
        reach = -(-(length + sum(layout)) // _REACH) * _REACH
        key = layout, min(reach, self._kv.keys.shape[3])
        if key not in self._graphs:
            self._graphs[key] = _Graph(self, *key)
        return self._graphs[key]

    @torch.inference_mode()
    def prefill(self, cache: KVCache, ids: Sequence[int]) -> None:
        if cache is not self._kv:
            super().prefill(cache, ids)
            return
        for at in range(0, len(ids), PREFILL):
            part = ids[at : at + PREFILL]
            self.run(cache, [self.clean(part, cache.length[0])])
            cache.keep(len(part))

    @torch.inference_mode()
    def logits(self, h_TD: torch.Tensor) -> torch.Tensor:
        return linear(h_TD.contiguous(), self.base.head_weight(), self.space)


def _padded(width: int) -> int:
    return next((size for size in _SIZES if size >= width), width) if width else 0
