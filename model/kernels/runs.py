"""Runs of keys: attention goes over `SPAN` slots in a program, and what the runs of a tile or of a token give
is put together in their order (flash decoding, Dao et al. 2023).

Runs and their order depend on the slot only, so a query's output has the same bits whatever else is in the
pass and however long the cache is.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl

ROWS = 64
SPAN = 128
WAYS = 4
"""Runs whose partial results are read at once."""
LAST_SPANS = 32
"""Up to so many runs the program that arrives last at a tile puts them together; more are worth a launch
whose programs share the reading.
"""


@triton.jit
def gather(s, v_SK, m, l, acc):  # noqa: E741 - the letter of the papers
    """One step of the online softmax: scores s [rows, keys] join the maximum m, the sum l and acc."""
    top = tl.maximum(m, tl.max(s, 1))
    safe = tl.where(top == float("-inf"), 0.0, top)
    fade = tl.exp(m - safe)
    p = tl.exp(s - safe[:, None])
    return top, l * fade + tl.sum(p, 1), tl.dot(p.to(v_SK.dtype), v_SK, acc * fade[:, None])


@triton.jit
def combine(
    part_o, part_m, part_l, out, rows, inside, g, spans, T,
    G: tl.constexpr, REP: tl.constexpr, K: tl.constexpr, WAYS: tl.constexpr,
):  # fmt: skip
    """Put runs 0..spans-1 of some rows together, in their order, WAYS in flight. The sums say where they
    round, since two kernels make them.
    """
    d = tl.arange(0, K)
    first, step = g * T * REP + rows, G * T * REP
    m = tl.full(rows.shape, float("-inf"), dtype=tl.float32)
    for at in range(0, spans, WAYS):
        for i in tl.static_range(WAYS):
            here, mask = first + (at + i) * step, inside & (at + i < spans)
            other = tl.load(part_m + here, mask=mask, other=float("-inf"), cache_modifier=".cg")
            m = tl.maximum(m, other)
    safe = tl.where(m == float("-inf"), 0.0, m)
    weight = tl.zeros(rows.shape, dtype=tl.float32)
    acc = tl.zeros((rows.shape[0], K), dtype=tl.float32)
    for at in range(0, spans, WAYS):
        for i in tl.static_range(WAYS):
            here, mask = first + (at + i) * step, inside & (at + i < spans)
            part_at = part_o + here[:, None] * K + d[None, :]
            o_RK = tl.load(part_at, mask=mask[:, None], other=0.0, cache_modifier=".cg")
            l_R = tl.load(part_l + here, mask=mask, other=0.0, cache_modifier=".cg")
            m_R = tl.load(part_m + here, mask=mask, other=float("-inf"), cache_modifier=".cg")
            share = tl.exp(m_R - safe)
            weight = tl.fma(share, l_R, weight)
            acc = tl.fma(share[:, None], o_RK, acc)
    acc = acc / tl.where(weight == 0.0, 1.0, weight)[:, None]
    where = (rows // REP) * (G * REP) + g * REP + rows % REP
    tl.store(out + where[:, None] * K + d[None, :], acc.to(out.dtype.element_ty), mask=inside[:, None])


@triton.jit
def attended(
    part_o, part_m, part_l, at, inside, spans, H: tl.constexpr, K: tl.constexpr, WAYS: tl.constexpr
):  # fmt: skip
    """`combine` for one token of H heads, at some of its H * K features."""
    head = at // K
    m = tl.full(at.shape, float("-inf"), dtype=tl.float32)
    for run in range(0, spans, WAYS):
        for i in tl.static_range(WAYS):
            mask = inside & (run + i < spans)
            m = tl.maximum(m, tl.load(part_m + (run + i) * H + head, mask=mask, other=float("-inf")))
    safe = tl.where(m == float("-inf"), 0.0, m)
    weight, acc = tl.zeros(at.shape, dtype=tl.float32), tl.zeros(at.shape, dtype=tl.float32)
    for run in range(0, spans, WAYS):
        for i in tl.static_range(WAYS):
            mask = inside & (run + i < spans)
            share = tl.exp(tl.load(part_m + (run + i) * H + head, mask=mask, other=float("-inf")) - safe)
            weight = tl.fma(share, tl.load(part_l + (run + i) * H + head, mask=mask, other=0.0), weight)
            acc = tl.fma(share, tl.load(part_o + (run + i) * H * K + at, mask=mask, other=0.0), acc)
    return acc / tl.where(weight == 0.0, 1.0, weight)


@triton.jit
def _combine(
    part_o, part_m, part_l, out, T, spans,
    G: tl.constexpr, REP: tl.constexpr, K: tl.constexpr, WAYS: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    rows = tl.program_id(0) + tl.arange(0, 1)
    combine(part_o, part_m, part_l, out, rows, rows >= 0, tl.program_id(1), spans, T, G, REP, K, WAYS)


class RunSpace:
    """Partial results of one layer at a time, and how many of a tile's runs have arrived. A launch touches
    them only after all before it have ended (model.kernels.launch), so layers can share them.
    """

    def __init__(self, device: torch.device, tokens: int, heads: int, head_dim: int, slots: int) -> None:
        spans = triton.cdiv(slots, SPAN)
        rows = spans * tokens * heads
        self.o = torch.empty(rows * head_dim, dtype=torch.float32, device=device)
        self.m = torch.empty(rows, dtype=torch.float32, device=device)
        self.l = torch.empty(rows, dtype=torch.float32, device=device)
        # More than there are tiles: those of siblings come on top.
        self.arrived = torch.zeros(tokens * heads, dtype=torch.int32, device=device)


def launched(head_dim: int) -> dict[str, int]:
    """How many keys a program takes at once, and its warps. Both kernels alike: sums depend on it."""
    narrow = head_dim <= 64
    return {"KEYS": SPAN if narrow else SPAN // 2, "num_warps": 4 if narrow else 8, "num_stages": 1}


def put_together(space: RunSpace, out_THK: torch.Tensor, kv_heads: int, spans: int) -> None:
    """The runs of all tokens, in a launch of their own."""
    T, H, K = out_THK.shape
    _combine[(T * H // kv_heads, kv_heads)](
        space.o, space.m, space.l, out_THK, T, spans, G=kv_heads, REP=H // kv_heads, K=K, WAYS=WAYS,
        PDL=out_THK.is_cuda, num_warps=1, **pdl(out_THK),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attended:
    """What one token's attention left in `space`, not put together. length [1] int32: tokens before it."""

    space: RunSpace
    length: torch.Tensor
    heads: int
