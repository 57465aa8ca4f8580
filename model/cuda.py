"""The CUDA path: passes of fixed layout as CUDA graphs over our Triton kernels, row-exact like the CPU path.

`CudaRunner` is a Runner whose `run` replays a graph for the layout of the pass (how many CLEAN, DRAFT and
LENGTH tokens, padded to a few sizes) and the reach of the cache. Weights, cache and inputs live in fixed
buffers; a pass costs one copy in, one replay. Bases in bfloat16, dense or with experts in FP8; others run on
the plain torch path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import torch

from model.base import MLP, Base
from model.cuda_matrix import Matrix
from model.cuda_pass import GraphPass, Layout, Memory, OnePass
from model.cuda_token import OneToken, dense_layers
from model.draw import Draw
from model.heads import HeadSet
from model.kernels.attention import Beside
from model.kernels.linear import Workspace, linear
from model.kernels.pointwise import rms_norm
from model.kernels.runs import SPAN, RunSpace
from model.kvcache import KVCache, pack_tokens
from model.plan import SIBLING, WIDEST
from model.quantised import Fp8Experts
from model.roles import Role
from model.rope import rotation
from model.runner import PREFILL, Part, Runner
from model.sampling import Kind
from model.shapes import LONGEST, MOST_SIBLINGS

if TYPE_CHECKING:
    from model.fused import ArStep
    from model.request import GenerateRequest
    from model.steps import WholeSteps

_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512)
_REACH = 512
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


class CudaRunner(Runner):
    siblings = False  # only whole steps have them

    def __init__(
        self, base: Base, heads: HeadSet | None = None, head_of: Mapping[Role, str] | None = None
    ) -> None:
        super().__init__(base, heads, head_of)
        config = base.config
        self._slots = min(config.context, _CACHE, _room(base)) + WIDEST
        self.kv = KVCache(config, 1, self._slots, base.dtype, self.device)
        # What whole steps leave to the next one: the last token, not in the cache yet, the draft behind it,
        # and how many tokens are in the cache.
        self.pending = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.draft = torch.full((LONGEST,), -1, dtype=torch.int64, device=self.device)
        # Siblings of that draft: the place of each, -1 for none, and their tokens.
        self.beside_at = torch.full((MOST_SIBLINGS,), -1, dtype=torch.int64, device=self.device)
        self.beside = torch.full((MOST_SIBLINGS, SIBLING), -1, dtype=torch.int64, device=self.device)
        self.device_length = torch.zeros(1, dtype=torch.int32, device=self.device)
        self.draw = Draw(self.device)
        self.pool = torch.cuda.graph_pool_handle() if self.device.type == "cuda" else None
        self.space = Workspace(self.device)
        slots = self.kv.keys.shape[3]
        self.attention = RunSpace(self.device, WIDEST, config.heads, config.head_dim, slots)
        positions = torch.arange(slots, device=self.device)[None]
        cos, sin = rotation(base.inverse_frequency, base.rope_scale, positions, base.dtype)
        self.turn = cos[0, :, 0].contiguous(), sin[0, :, 0].contiguous()
        self.layers = [
            (
                Matrix.of(layer.qkv, base.dtype),
                Matrix.of(layer.o, base.dtype),
                (Matrix.of(layer.mlp.gate_up, base.dtype), Matrix.of(layer.mlp.down, base.dtype))
                if isinstance(layer.mlp, MLP)
                else cast("Fp8Experts", layer.mlp),
            )
            for layer in base.layers
        ]
        dense = dense_layers(self)
        self._one = None if dense is None else OneToken(self, dense)
        self._graphs: dict[tuple[object, ...], GraphPass] = {}
        self._single: dict[tuple[object, ...], ArStep] = {}
        self._whole: WholeSteps | None = None

    def cache(self, capacity: int, rows: int = 1) -> KVCache:
        """The one cache that the graphs know, emptied."""
        if rows != 1 or capacity + WIDEST > self._slots:
            return super().cache(capacity, rows)
        self.kv.length = [0]
        self.kv.capacity = capacity + WIDEST
        return self.kv

    def reach(self, slots: int) -> int:
        """Slots that attention goes over when the first `slots` may be in use: few sizes, few graphs."""
        return min(-(-slots // _REACH) * _REACH, self.kv.keys.shape[3])

    def forward(
        self,
        x_TD: torch.Tensor,
        fields: torch.Tensor,
        route: Sequence[tuple[int, int, str]],
        reach: int,
        beside: Beside | None = None,
    ) -> torch.Tensor:
        """Final normed states; everything on the device, nothing depends on the host."""
        if x_TD.shape[0] == 1 and self._one is not None:
            return self._one(x_TD, route, fields, reach)
        return self.through(x_TD, route, OnePass(self, fields, reach, beside))

    def through(
        self, x_TD: torch.Tensor, route: Sequence[tuple[int, int, str]], memory: Memory
    ) -> torch.Tensor:
        """The layers, with keys and values kept and attended to by `memory`."""
        config, space = self.base.config, self.space
        T = x_TD.shape[0]
        H, K, eps = config.heads, config.head_dim, config.eps
        o_THK = torch.empty(T, H, K, dtype=x_TD.dtype, device=x_TD.device)
        norms = [layer.input_norm.weight for layer in self.base.layers] + [self.base.norm.weight]
        x, normed = x_TD, torch.empty_like(x_TD)
        rms_norm(x, norms[0], eps, normed)
        for index, (layer, (qkv, o, mlp)) in enumerate(zip(self.base.layers, self.layers, strict=True)):
            fused = qkv(normed, space, route)
            of_heads = None
            if layer.q_norm is not None and layer.k_norm is not None:
                of_heads = (layer.q_norm.weight, layer.k_norm.weight, eps)
            memory.attend(index, fused, of_heads, o_THK)
            x, normed = o.onward(o_THK.view(T, H * K), space, route, x, (layer.post_norm.weight, eps))
            if isinstance(mlp, Fp8Experts):
                x = mlp.rows(normed, x, space)
                rms_norm(x, norms[index + 1], eps, normed)
                continue
            gate_up, down = mlp
            wide = gate_up(normed, space, route, gated=True)
            x, normed = down.onward(wide, space, route, x, (norms[index + 1], eps))
        return normed

    @torch.inference_mode()
    def run(self, cache: KVCache, parts: Sequence[Part]) -> torch.Tensor:
        if cache is not self.kv:
            return super().run(cache, parts)
        widths = [sum(p.x.shape[1] for p in parts if p.role == role) for role in Role]
        layout = _layout(widths)
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

    def _graph(self, layout: Layout, length: int) -> GraphPass:
        reach = self.reach(length + sum(layout))
        key = layout, reach, tuple(self.head_of.items())
        if key not in self._graphs:
            self._graphs[key] = GraphPass(self, layout, reach)
        return self._graphs[key]

    @torch.inference_mode()
    def whole_step(self, cache: KVCache, token: int, request: GenerateRequest) -> tuple[int, float] | None:
        if cache is not self.kv:
            return None
        self.pending.fill_(token)
        self.device_length.fill_(cache.length[0])
        self.draw.put(request)
        step = self.ar_step(cache.length[0], Kind.of(request))
        step.launch()
        return step.collect()

    def ar_step(self, length: int, kind: Kind) -> ArStep:
        """The captured step behind `length` tokens, which the device knows: a capture writes behind them."""
        from model.fused import ArStep

        reach = self.reach(length + 1)
        key = kind, reach, self.head_of.get(Role.CLEAN)
        if key not in self._single:
            self._single[key] = ArStep(self, kind, reach)
        return self._single[key]

    def whole_steps(self, capacity: int, limit: int) -> WholeSteps | None:
        from model.steps import WholeSteps

        heads = self.heads
        if capacity + WIDEST > self._slots or heads is None or heads.sequential is None or self.hints:
            return None
        if self._whole is None or self._whole.limit != limit:
            self._whole = WholeSteps(self, limit)
        return self._whole

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


def _layout(widths: Sequence[int]) -> Layout:
    """Padded to a few sizes, unless that passed what attention has room for."""
    padded = [_padded(width) for width in widths]
    return cast("Layout", tuple(padded if sum(padded) <= WIDEST else widths))


def _padded(width: int) -> int:
    return next((size for size in _SIZES if size >= width), width) if width else 0
