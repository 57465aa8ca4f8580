"""The CUDA path: passes of fixed layout as CUDA graphs over our Triton kernels, row-exact like the CPU path.

`CudaRunner` is a Runner whose `run` replays a graph for the layout of the pass (how many CLEAN, DRAFT and
LENGTH tokens, padded to a few sizes) and the reach of the cache. Weights, cache and inputs live in fixed
buffers; a pass costs one copy in, one replay. Bases in bfloat16, dense or with experts in FP8; others run on
the plain torch path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch.nn import functional as F

from model.base import MLP, Base
from model.heads import HeadSet
from model.kernels.attention import SPAN, AttentionSpace, attend
from model.kernels.fp8_linear import fp8_linear
from model.kernels.linear import Workspace, linear
from model.kernels.pointwise import rms_norm, rotate_write
from model.kvcache import KVCache, pack_tokens
from model.lora import Adapter, RoutedProjection
from model.plan import WIDEST
from model.projection import DenseProjection, Projection
from model.quantised import Fp8Experts, Fp8Projection
from model.roles import Role
from model.rope import rotation
from model.runner import PREFILL, Part, Runner

if TYPE_CHECKING:
    from model.fused import ArStep, Verified, VerifiedStep

_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512)
_REACH = 512
SHAPE = 15, (0, 1, 2, 3, 5, 8, 15)
"""Masks of a block, and the points with a block behind them, of fused verified steps: width 128."""
_CACHE = 32_768


def supported(base: Base) -> bool:
    """Do the kernels cover this base?"""
    config = base.config
    return (
        base.device.type == "cuda"
        and base.dtype == torch.bfloat16
        and config.hidden % 64 == 0
        and all(
            isinstance(layer.mlp, Fp8Experts) or (type(layer.mlp) is MLP and config.intermediate % 64 == 0)
            for layer in base.layers
        )
        and (config.heads * config.head_dim) % 64 == 0
    )


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


Layout = tuple[int, int, int]
"""Padded widths of the CLEAN, DRAFT and LENGTH parts."""


Norms = tuple[torch.Tensor, torch.Tensor, float] | None
"""Weights of the q and k norms and their epsilon, for families that have them."""


class Memory(Protocol):
    """Keys and values of a pass: rotate, write, attend. fused [T, (H + 2 G) K]; q and out [T, H, K]."""

    def attend(
        self, index: int, fused: torch.Tensor, norms: Norms, q_THK: torch.Tensor, out_THK: torch.Tensor
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class OnePass:
    """The runner's own cache: one row, all roles. fields: role, position, block, begin [4, T] int32."""

    owner: CudaRunner
    fields: torch.Tensor
    reach: int

    def attend(
        self, index: int, fused: torch.Tensor, norms: Norms, q_THK: torch.Tensor, out_THK: torch.Tensor
    ) -> None:
        keys, values = self.owner.kv.keys[index, 0], self.owner.kv.values[index, 0]
        role, position, block, begin = self.fields.unbind(0)
        length = self.owner.device_length
        rotate_write(fused, *self.owner.turn, position, length, q_THK, keys, values, norms)
        fields = (role, position, block, begin)
        attend(q_THK, keys, values, fields, length, self.reach, self.owner.attention, out_THK)


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
        self._slots = min(config.context, _CACHE, _room(base)) + WIDEST
        self.kv = KVCache(config, 1, self._slots, base.dtype, self.device)
        self.device_length = torch.zeros(1, dtype=torch.int32, device=self.device)
        self.space = Workspace(self.device)
        slots = self.kv.keys.shape[3]
        self.attention = AttentionSpace(self.device, WIDEST, config.heads, config.head_dim, slots)
        positions = torch.arange(slots, device=self.device)[None]
        cos, sin = rotation(base.inverse_frequency, base.rope_scale, positions, base.dtype)
        self.turn = cos[0, :, 0].contiguous(), sin[0, :, 0].contiguous()
        self._layers = [
            (
                Matrix.of(layer.qkv, base.dtype),
                Matrix.of(layer.o, base.dtype),
                (Matrix.of(layer.mlp.gate_up, base.dtype), Matrix.of(layer.mlp.down, base.dtype))
                if isinstance(layer.mlp, MLP)
                else cast("Fp8Experts", layer.mlp),
            )
            for layer in base.layers
        ]
        self._graphs: dict[tuple[object, ...], _Graph] = {}
        self._greedy: dict[tuple[object, ...], ArStep] = {}
        self._verified: dict[tuple[object, ...], VerifiedStep] = {}

    def cache(self, capacity: int, rows: int = 1) -> KVCache:
        """The one cache that the graphs know, emptied."""
        if rows != 1 or capacity + WIDEST > self._slots:
            return super().cache(capacity, rows)
        self.kv.length = [0]
        self.kv.capacity = capacity + WIDEST
        return self.kv

    def forward(
        self,
        x_TD: torch.Tensor,
        fields: torch.Tensor,
        route: Sequence[tuple[int, int, str]],
        reach: int,
    ) -> torch.Tensor:
        """Final normed states; everything on the device, nothing depends on the host."""
        return self.through(x_TD, route, OnePass(self, fields, reach))

    def through(
        self, x_TD: torch.Tensor, route: Sequence[tuple[int, int, str]], memory: Memory
    ) -> torch.Tensor:
        """The layers, with keys and values kept and attended to by `memory`."""
        config, space = self.base.config, self.space
        T = x_TD.shape[0]
        H, K, eps = config.heads, config.head_dim, config.eps
        normed = torch.empty_like(x_TD)
        q_THK = torch.empty(T, H, K, dtype=x_TD.dtype, device=x_TD.device)
        o_THK = torch.empty_like(q_THK)
        x = x_TD
        for index, (layer, (qkv, o, mlp)) in enumerate(zip(self.base.layers, self._layers, strict=True)):
            rms_norm(x, layer.input_norm.weight, eps, normed)
            fused = qkv(normed, space, route)
            norms = None
            if layer.q_norm is not None and layer.k_norm is not None:
                norms = (layer.q_norm.weight, layer.k_norm.weight, eps)
            memory.attend(index, fused, norms, q_THK, o_THK)
            x = o(o_THK.view(T, H * K), space, route, residual=x)
            rms_norm(x, layer.post_norm.weight, eps, normed)
            if isinstance(mlp, Fp8Experts):
                x = mlp.rows(normed, x, space)
                continue
            gate_up, down = mlp
            x = down(gate_up(normed, space, route, gated=True), space, route, residual=x)
        out = torch.empty_like(x)
        rms_norm(x, self.base.norm.weight, eps, out)
        return out

    @torch.inference_mode()
    def run(self, cache: KVCache, parts: Sequence[Part]) -> torch.Tensor:
        if cache is not self.kv:
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
        reach = min(reach, self.kv.keys.shape[3])
        key = layout, reach, tuple(self.head_of.items())
        if key not in self._graphs:
            self._graphs[key] = _Graph(self, layout, reach)
        return self._graphs[key]

    @torch.inference_mode()
    def greedy_step(self, cache: KVCache, token: int) -> tuple[int, float] | None:
        from model.fused import ArStep

        if cache is not self.kv:
            return None
        length = cache.length[0]
        reach = min(-(-(length + 1) // _REACH) * _REACH, self.kv.keys.shape[3])
        key = reach, self.head_of.get(Role.CLEAN)
        if key not in self._greedy:
            self.device_length.fill_(length)  # the capture's warm-up writes behind the committed tokens
            self._greedy[key] = ArStep(self, reach)
        step = self._greedy[key]
        step.start(token, length)
        return step.step()

    @torch.inference_mode()
    def verified_steps(
        self, cache: KVCache, token: int, tokens: int, limit: int
    ) -> Callable[[], Verified] | None:
        from model.fused import VerifiedStep

        heads = self.heads
        if cache is not self.kv or heads is None or heads.sequential is None or self.hints:
            return None
        masks, points = SHAPE
        length = cache.length[0]
        reach = -(-(length + tokens + (len(points) + 1) * (masks + 1)) // _REACH) * _REACH
        if reach > self.kv.keys.shape[3]:
            return None
        key = reach, limit, tuple(self.head_of.items())
        if key not in self._verified:
            self.device_length.fill_(length)  # the capture's warm-up writes behind the committed tokens
            self._verified[key] = VerifiedStep(self, masks, points, limit, reach)
        step = self._verified[key]
        step.start(token, length)
        return step.step

    @torch.inference_mode()
    def prefill(self, cache: KVCache, ids: Sequence[int]) -> None:
        if cache is not self.kv:
            super().prefill(cache, ids)
            return
        for at in range(0, len(ids), PREFILL):
            part = ids[at : at + PREFILL]
            self.run(cache, [self.clean(part, cache.length[0])])
            cache.keep(len(part))

    @torch.inference_mode()
    def logits(self, h_TD: torch.Tensor) -> torch.Tensor:
        return linear(h_TD.contiguous(), self.base.head_weight(), self.space)


def _room(base: Base) -> int:
    """Slots for half of what is free: a card that just holds the weights can still decode."""
    if base.device.type != "cuda":
        return _CACHE
    config = base.config
    cached = 2 * config.layers * config.kv_heads * config.head_dim * base.dtype.itemsize
    partial_results = 4 * WIDEST * config.heads * config.head_dim // SPAN
    free, _ = torch.cuda.mem_get_info(base.device)
    return int(free // 2 // (cached + partial_results))


def _padded(width: int) -> int:
    return next((size for size in _SIZES if size >= width), width) if width else 0
