"""Matmuls whose rows do not depend on how many there are: y = x W^T for 1 to some hundred tokens.

The weights are the left operand of the tensor cores' product and the tokens the right one. A pass of 1
token and one of 256 then run the same instruction on the same weight tile in the same order over K, and
only the number of columns differs, so a token's output has the same bits at every width. K is split in a
fixed way per weight shape; the partial sums are added in a fixed order by the program that arrives last.

A pass may hold up to three runs of tokens, each with a weight of its own (the base's, and the base's with a
head merged in): `also` gives the later ones. Runs begin new column tiles, so one launch serves all roles.

Epilogues, with the roundings of plain torch: bias, residual, and silu(gate) * up.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch.nn import functional as F

from model.kernels.launch import pdl

TILE = 64
"""Weight rows of a program: the least that Hopper's wgmma takes."""
STEP = 64
INNER_FROM, INNER_K = 48, 2048
"""From this many tokens on there are programs enough without splitting K, unless K is longer than that."""


@triton.jit
def _finish(y, gate_up, residual, where, inside, GATED: tl.constexpr, RESIDUAL: tl.constexpr):
    """Epilogue of a sum y in float32, rounded as plain torch rounds (residual's type is the output's)."""
    kind = residual.dtype.element_ty
    out = y.to(kind)
    if GATED:
        gate = out.to(tl.float32)
        gate = (gate * tl.sigmoid(gate)).to(kind).to(tl.float32)
        out = (gate * gate_up.to(kind).to(tl.float32)).to(kind)
    if RESIDUAL:
        old = tl.load(residual + where, mask=inside, other=0.0).to(tl.float32)
        out = (old + out.to(tl.float32)).to(kind)
    return out


@triton.jit
def _linear(
    x,
    w0,
    w1,
    w2,
    bias,
    norm,
    eps,
    residual,
    out,
    partial,
    arrived,
    end0,
    end1,
    T,
    N,
    K: tl.constexpr,
    BN: tl.constexpr,
    BT: tl.constexpr,
    BK: tl.constexpr,
    SPLIT: tl.constexpr,
    INNER: tl.constexpr,
    BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr,
    GATED: tl.constexpr,
    LAST: tl.constexpr,
    NORM: tl.constexpr,
    PDL: tl.constexpr,
):
    """Tokens 0..end0-1 meet w0, those to end1-1 w1, the rest w2. NORM: the one token is normed first, as
    `pointwise._norm` does it, by every program for itself. LAST: the program that arrives last at a
    tile sums its partial results; else `_reduce` does. INNER: one program goes through all slices of K and
    sums them itself, in the order and with the roundings of the others.
    """
    tile_n, tile_t, slice_k = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n = tile_n * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    tiles0 = tl.cdiv(end0, BT)
    tiles1 = tiles0 + tl.cdiv(end1 - end0, BT)
    w, first, end = w0, tile_t * BT, end0
    if tile_t >= tiles1:
        w, first, end = w2, end1 + (tile_t - tiles1) * BT, T
    elif tile_t >= tiles0:
        w, first, end = w1, end0 + (tile_t - tiles0) * BT, end1
    t = first + tl.arange(0, BT)
    in_n, in_t = n < N, t < end
    acc = tl.zeros((BN, BT), dtype=tl.float32)
    up = tl.zeros((BN, BT), dtype=tl.float32)
    SLICE: tl.constexpr = K // SPLIT
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    scale = 1.0
    if NORM:
        d = tl.arange(0, triton.next_power_of_2(K))
        x_D = tl.load(x + d, mask=d < K, other=0.0).to(tl.float32)
        scale = tl.rsqrt(tl.sum(x_D * x_D) / K + eps)
    if INNER:
        total = tl.zeros((BN, BT), dtype=tl.float32)
        total_up = tl.zeros((BN, BT), dtype=tl.float32)
        for at in range(0, K, BK):
            x_KT = tl.load(x + t[None, :] * K + (at + k)[:, None], mask=in_t[None, :], other=0.0)
            rows = n[:, None].to(tl.int64) * K + (at + k)[None, :]
            acc = tl.dot(tl.load(w + rows, mask=in_n[:, None], other=0.0), x_KT, acc)
            # A select, not a branch: the loads of the next steps stay in flight.
            ends = (at + BK) % SLICE == 0
            total = tl.where(ends, total + acc, total)
            acc = tl.where(ends, 0.0, acc)
            if GATED:
                w_NK = tl.load(w + rows + N.to(tl.int64) * K, mask=in_n[:, None], other=0.0)
                up = tl.dot(w_NK, x_KT, up)
                total_up = tl.where(ends, total_up + up, total_up)
                up = tl.where(ends, 0.0, up)
        acc, up = total, total_up
    else:
        for at in range(slice_k * SLICE, (slice_k + 1) * SLICE, BK):
            x_KT = tl.load(x + t[None, :] * K + (at + k)[:, None], mask=in_t[None, :], other=0.0)
            if NORM:
                kind = x.dtype.element_ty
                x_KT = (x_KT.to(tl.float32) * scale).to(kind).to(tl.float32)
                x_KT = (x_KT * tl.load(norm + at + k).to(tl.float32)[:, None]).to(kind)
            rows = n[:, None].to(tl.int64) * K + (at + k)[None, :]
            acc = tl.dot(tl.load(w + rows, mask=in_n[:, None], other=0.0), x_KT, acc)
            if GATED:
                w_NK = tl.load(w + rows + N.to(tl.int64) * K, mask=in_n[:, None], other=0.0)
                up = tl.dot(w_NK, x_KT, up)
    where = t[None, :] * N + n[:, None]
    inside = in_n[:, None] & in_t[None, :]
    size = T * N
    if SPLIT > 1 and not INNER:
        tl.store(partial + slice_k * size + where, acc, mask=inside)
        if GATED:
            tl.store(partial + (SPLIT + slice_k) * size + where, up, mask=inside)
    if SPLIT == 1 or INNER:
        if BIAS:
            acc += tl.load(bias + n, mask=in_n, other=0.0).to(tl.float32)[:, None]
        tl.store(out + where, _finish(acc, up, residual, where, inside, GATED, RESIDUAL), mask=inside)
    elif LAST:
        tl.debug_barrier()
        ticket = tl.atomic_add(arrived + tile_n * tl.num_programs(1) + tile_t, 1, sem="acq_rel")
        if ticket == SPLIT - 1:
            tl.debug_barrier()
            acc = tl.zeros((BN, BT), dtype=tl.float32)
            up = tl.zeros((BN, BT), dtype=tl.float32)
            for i in tl.static_range(SPLIT):
                acc += tl.load(partial + i * size + where, mask=inside, other=0.0, cache_modifier=".cg")
                if GATED:
                    part = partial + (SPLIT + i) * size + where
                    up += tl.load(part, mask=inside, other=0.0, cache_modifier=".cg")
            tl.store(arrived + tile_n * tl.num_programs(1) + tile_t, 0)
            if BIAS:
                acc += tl.load(bias + n, mask=in_n, other=0.0).to(tl.float32)[:, None]
            tl.store(out + where, _finish(acc, up, residual, where, inside, GATED, RESIDUAL), mask=inside)


@triton.jit
def _reduce(
    partial,
    bias,
    residual,
    out,
    T,
    N,
    SPLIT: tl.constexpr,
    BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr,
    GATED: tl.constexpr,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    where = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    size = T * N
    inside = where < size
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    acc = tl.zeros((BLOCK,), dtype=tl.float32)
    up = tl.zeros((BLOCK,), dtype=tl.float32)
    for i in tl.static_range(SPLIT):
        acc += tl.load(partial + i * size + where, mask=inside, other=0.0)
        if GATED:
            up += tl.load(partial + (SPLIT + i) * size + where, mask=inside, other=0.0)
    if BIAS:
        acc += tl.load(bias + where % N, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + where, _finish(acc, up, residual, where, inside, GATED, RESIDUAL), mask=inside)


def split_of(features_in: int, programs: int, step: int) -> int:
    """How many ways to split K for a weight of `programs` tiles: enough programs for one wave of a large
    GPU. It depends on the weight's shape only, so the order of the sum does too.
    """
    steps = features_in // step
    best = 1
    for split in range(1, steps + 1):
        if steps % split == 0 and programs * split <= 156 and steps // split >= 2:
            best = split
    return best


class Workspace:
    """Partial sums and arrival counters, shared by all calls of one stream."""

    def __init__(self, device: torch.device, floats: int = 1 << 24, counters: int = 1 << 16) -> None:
        self.partial = torch.empty(floats, dtype=torch.float32, device=device)
        self.arrived = torch.zeros(counters, dtype=torch.int32, device=device)


def linear(
    x_TK: torch.Tensor,
    weight: torch.Tensor,
    space: Workspace,
    *,
    bias: torch.Tensor | None = None,
    norm: tuple[torch.Tensor, float] | None = None,
    residual: torch.Tensor | None = None,
    gated: bool = False,
    out: torch.Tensor | None = None,
    also: Sequence[tuple[int, torch.Tensor]] = (),
) -> torch.Tensor:
    """[T, N] of x [T, K], contiguous, and weight [N, K] (gated: [2 N, K], gate rows first). K divisible
    by 64. norm: weight and epsilon of an RMSNorm of x, for one token only. also: up to two (first token,
    weight): tokens from there on meet that weight instead.
    """
    T, K = x_TK.shape
    assert norm is None or T == 1
    gain, eps = norm if norm is not None else (x_TK, 0.0)
    N = weight.shape[0] // 2 if gated else weight.shape[0]
    y = out if out is not None else torch.empty(T, N, dtype=x_TK.dtype, device=x_TK.device)
    tile = 2 * TILE if N > 32768 else TILE
    step = 32 if K >= 4096 and K % 256 == 0 else STEP
    columns = min(128, max(16, triton.next_power_of_2(T)))
    programs = triton.cdiv(N, tile)
    split = 1 if N > 32768 else split_of(K, programs, step)
    last = T <= 16
    inner = INNER_FROM <= T and split > 1 and K <= INNER_K
    if inner:
        columns = min(columns, 64 if gated else 32)
    starts = [first for first, _ in also] + [T] * (2 - len(also))
    matrices = [weight, *(other for _, other in also), *[weight] * (2 - len(also))]
    runs = (starts[0], starts[1] - starts[0], T - starts[1])
    tiles = sum(triton.cdiv(run, columns) for run in runs)
    old = residual if residual is not None else y
    flags = {"BIAS": bias is not None, "RESIDUAL": residual is not None, "GATED": gated, "PDL": x_TK.is_cuda}
    _linear[programs, tiles, 1 if inner else split](
        x_TK, *matrices, bias, gain, eps, old, y, space.partial, space.arrived, *starts, T, N, K,
        BN=tile, BT=columns, BK=step, SPLIT=split, INNER=inner, LAST=last, NORM=norm is not None,
        **flags,
        num_warps=4, num_stages=5 if columns <= 32 else 4, **pdl(x_TK),
    )  # fmt: skip
    if split > 1 and not last and not inner:
        _reduce[(triton.cdiv(T * N, 512),)](
            space.partial, bias, old, y, T, N,
            SPLIT=split, BLOCK=512, **flags, num_warps=4, **pdl(x_TK),
        )  # fmt: skip
    return y


def linear_reference(
    x_TK: torch.Tensor,
    weight: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    residual: torch.Tensor | None = None,
    gated: bool = False,
) -> torch.Tensor:
    """The same in plain torch."""
    y = F.linear(x_TK, weight, bias)
    if gated:
        gate, up = y.chunk(2, -1)
        y = F.silu(gate) * up
    return y if residual is None else residual + y
