"""One token through a dense layer: five launches, and no program waits for another.

A matmul leaves the sums of its slices of K in `Parts`, and whoever reads its output puts them together: the
next matmul in every program that needs them, with the residual, the norm or silu(gate) * up, and the
attention of the same layer. That costs some kilobytes more to read and saves, in each matmul, the store,
count and second reading by which the last program would do it (model.kernels.linear). Slices, their order
and all roundings are those of `linear`, so the token has the bits that it has in a wider pass.

While the launch before still runs, a program reads its first tiles of weights.
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
from model.kernels.parts import Parts, summed
from model.kernels.pointwise import row_normed
from model.kernels.reduce import gated
from model.kernels.runs import SPAN, WAYS, Attended, attended
from model.kernels.slices import TILE, step_of

COLUMNS = 16
"""Tokens of the narrowest matmul; one of them is real."""
HELD = 256
"""Features of a slice, at most, whose weights a program reads before it waits."""


@triton.jit
def _stream(x, parts, at, inside, K: tl.constexpr, PARTS: tl.constexpr):
    """The residual stream at `at` behind the projection whose sums are `parts`."""
    old = tl.load(x + at, mask=inside, other=0.0)
    if PARTS:
        y = summed(parts, at, inside, K, PARTS).to(old.dtype)
        old = (old.to(tl.float32) + y.to(tl.float32)).to(old.dtype)
    return old


@triton.jit
def _project(
    x, parts, part_m, part_l, length, norm, eps, kept, own, w, out, N,
    K: tl.constexpr, PAD: tl.constexpr, INPUT: tl.constexpr, PARTS: tl.constexpr, H: tl.constexpr,
    SPAN: tl.constexpr, WAYS: tl.constexpr, BN: tl.constexpr, BT: tl.constexpr, BK: tl.constexpr,
    HELD: tl.constexpr, SPLIT: tl.constexpr, GATED: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """The sums of one slice of K for a tile of weight rows. INPUT 0: the normed residual stream; 1: what
    attention gave; 2: silu(gate) * up. The input goes through `own`, a row a program.
    """
    tile, slice_k = tl.program_id(0), tl.program_id(1)
    program = slice_k * tl.num_programs(0) + tile
    SLICE: tl.constexpr = K // SPLIT
    begin = slice_k * SLICE
    n, k, t = tile * BN + tl.arange(0, BN), tl.arange(0, BK), tl.arange(0, BT)
    in_n, first = (n < N)[:, None], (t == 0)[None, :]
    rows = w + n[:, None].to(tl.int64) * K + begin
    up_rows = rows + N.to(tl.int64) * K
    h = tl.arange(0, HELD)
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
    w_NK = tl.load(rows + h[None, :], mask=in_n, other=0.0)
    up_NK = w_NK
    if GATED:
        up_NK = tl.load(up_rows + h[None, :], mask=in_n, other=0.0)
    if INPUT == 0:
        at = tl.arange(0, PAD)
        gain_D = tl.load(norm + at, mask=at < K, other=0.0)
    if INPUT == 1:
        spans = tl.cdiv(tl.load(length) + 1, SPAN)
    if PDL:
        tl.extra.cuda.gdc_wait()
    kind = w.dtype.element_ty
    own += program * K
    if INPUT == 0:
        x_D = _stream(x, parts, at, at < K, K, PARTS)
        if PARTS and program == 0:
            tl.store(kept + at, x_D, mask=at < K)
        tl.store(own + at, row_normed(x_D, gain_D, eps, K), mask=at < K)
    else:
        here = begin + tl.arange(0, triton.next_power_of_2(SLICE))
        inside = here < begin + SLICE
        if INPUT == 1:
            y = attended(parts, part_m, part_l, here, inside, spans, H, K // H, WAYS).to(kind)
        else:
            up = summed(parts + PARTS * K, here, inside, K, PARTS)
            y = gated(summed(parts, here, inside, K, PARTS), up, kind)
        tl.store(own + here, y, mask=inside)
    tl.debug_barrier()
    own += begin
    held_KT = tl.load(own + t[None, :] * K + h[:, None], mask=first, other=0.0)
    acc = tl.dot(w_NK, held_KT)
    other = acc
    if GATED:
        other = tl.dot(up_NK, held_KT)
    for step in range(HELD, SLICE, BK):
        x_KT = tl.load(own + t[None, :] * K + (step + k)[:, None], mask=first, other=0.0)
        acc = tl.dot(tl.load(rows + (step + k)[None, :], mask=in_n, other=0.0), x_KT, acc)
        if GATED:
            other = tl.dot(tl.load(up_rows + (step + k)[None, :], mask=in_n, other=0.0), x_KT, other)
    where = slice_k * N + n[:, None] + 0 * t[None, :]
    tl.store(out + where, acc, mask=in_n & first)
    if GATED:
        tl.store(out + SPLIT * N + where, other, mask=in_n & first)


@triton.jit
def _finish(
    x, parts, norm, eps, out, K: tl.constexpr, PAD: tl.constexpr, PARTS: tl.constexpr, PDL: tl.constexpr
):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
    at = tl.arange(0, PAD)
    gain_D = tl.load(norm + at, mask=at < K, other=0.0)
    if PDL:
        tl.extra.cuda.gdc_wait()
    x_D = _stream(x, parts, at, at < K, K, PARTS)
    tl.store(out + at, row_normed(x_D, gain_D, eps, K), mask=at < K)


@dataclass(frozen=True, slots=True)
class Stream:
    """The residual stream x [K] before the projection whose sums are `parts` (None: with it)."""

    x: torch.Tensor
    parts: Parts | None = None


def project(
    source: Stream | Attended | Parts,
    weight: torch.Tensor,
    out: Parts,
    own: torch.Tensor,
    *,
    norm: tuple[torch.Tensor, float] | None = None,
    kept: torch.Tensor | None = None,
    gated: bool = False,
) -> None:
    """The sums of weight [N, K] (gated: [2 N, K]) times one token's input: the normed residual stream, what
    attention gave, or silu(gate) * up of a gated projection's parts. own: a row of K a program. kept: where
    the residual stream [K] goes when `source` has parts; not where it came from.
    """
    K = weight.shape[1]
    N = weight.shape[0] // 2 if gated else weight.shape[0]
    step, part = step_of(K), K // out.slices
    held = min(HELD, 1 << (part.bit_length() - 1))
    x = parts = part_m = part_l = length = own
    kind, heads, count, gain, eps = 0, 1, 0, own, 0.0
    if isinstance(source, Stream):
        assert norm is not None
        x, (gain, eps) = source.x, norm
        if source.parts is not None:
            parts, count = source.parts.sums, source.parts.slices
    elif isinstance(source, Attended):
        kind, heads, length = 1, source.heads, source.length
        parts, part_m, part_l = source.space.o, source.space.m, source.space.l
    else:
        kind, parts, count = 2, source.sums, source.slices
    stages = 1 if held == part else 2 if gated else 10 if step < 64 else 4
    _project[(triton.cdiv(N, TILE), out.slices)](
        x, parts, part_m, part_l, length, gain, eps, own if kept is None else kept, own, weight, out.sums, N,
        K=K, PAD=triton.next_power_of_2(K), INPUT=kind, PARTS=count, H=heads, SPAN=SPAN, WAYS=WAYS,
        BN=TILE, BT=COLUMNS, BK=step, HELD=held, SPLIT=out.slices, GATED=gated, PDL=own.is_cuda,
        num_warps=4, num_stages=stages, **pdl(own),
    )  # fmt: skip


def finish(source: Stream, norm: tuple[torch.Tensor, float], out: torch.Tensor) -> None:
    """RMSNorm of the residual stream, [K]."""
    K = out.shape[-1]
    parts, count = (source.x, 0) if source.parts is None else (source.parts.sums, source.parts.slices)
    _finish[(1,)](
        source.x, parts, *norm, out, K=K, PAD=triton.next_power_of_2(K), PARTS=count, PDL=out.is_cuda,
        num_warps=4, **pdl(out),
    )  # fmt: skip
