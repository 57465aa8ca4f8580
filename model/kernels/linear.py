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
from model.kernels.pointwise import rms_norm
from model.kernels.reduce import finished, reduce, reduce_rows
from model.kernels.slices import TILE, WIDE, slices_of, step_of

INNER_FROM, INNER_K = 48, 2048
"""From this many tokens on there are programs enough without splitting K, unless K is longer than that."""


@triton.jit
def _linear(
    x,
    w0,
    w1,
    w2,
    bias,
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
    PDL: tl.constexpr,
):
    """Tokens 0..end0-1 meet w0, those to end1-1 w1, the rest w2. LAST: the program that arrives last at a
    tile sums its partial results; else `reduce` does. INNER: one program goes through all slices of K and
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
    SLICE: tl.constexpr = K // SPLIT
    begin = 0 if INNER else slice_k * SLICE
    rows = w + n[:, None].to(tl.int64) * K + k[None, :]
    up_rows = rows + N.to(tl.int64) * K
    columns = x + t[None, :] * K + k[:, None]
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
    # Weights are there already: the first tile comes while the kernel before still runs.
    w_NK = tl.load(rows + begin, mask=in_n[:, None], other=0.0)
    up_NK = w_NK
    if GATED:
        up_NK = tl.load(up_rows + begin, mask=in_n[:, None], other=0.0)
    bias_N = tl.zeros((BN,), dtype=tl.float32)
    if BIAS:
        bias_N = tl.load(bias + n, mask=in_n, other=0.0).to(tl.float32)
    if PDL:
        tl.extra.cuda.gdc_wait()
    x_KT = tl.load(columns + begin, mask=in_t[None, :], other=0.0)
    acc = tl.dot(w_NK, x_KT)
    up = acc
    if GATED:
        up = tl.dot(up_NK, x_KT)
    total = tl.zeros((BN, BT), dtype=tl.float32)
    total_up = total
    if INNER and BK == SLICE:
        total, total_up = total + acc, total + up
        acc = tl.zeros((BN, BT), dtype=tl.float32)
        up = acc
    for at in range(begin + BK, K if INNER else begin + SLICE, BK):
        x_KT = tl.load(columns + at, mask=in_t[None, :], other=0.0)
        acc = tl.dot(tl.load(rows + at, mask=in_n[:, None], other=0.0), x_KT, acc)
        if GATED:
            up = tl.dot(tl.load(up_rows + at, mask=in_n[:, None], other=0.0), x_KT, up)
        if INNER:
            # A select, not a branch: the loads of the next steps stay in flight.
            ends = (at + BK) % SLICE == 0
            total, acc = tl.where(ends, total + acc, total), tl.where(ends, 0.0, acc)
            if GATED:
                total_up, up = tl.where(ends, total_up + up, total_up), tl.where(ends, 0.0, up)
    if INNER:
        acc, up = total, total_up
    where = t[None, :] * N + n[:, None]
    inside = in_n[:, None] & in_t[None, :]
    size = T * N
    if SPLIT > 1 and not INNER:
        tl.store(partial + slice_k * size + where, acc, mask=inside)
        if GATED:
            tl.store(partial + (SPLIT + slice_k) * size + where, up, mask=inside)
    if SPLIT == 1 or INNER:
        acc += bias_N[:, None]
        tl.store(out + where, finished(acc, up, residual, where, inside, GATED, RESIDUAL), mask=inside)
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
            acc += bias_N[:, None]
            tl.store(out + where, finished(acc, up, residual, where, inside, GATED, RESIDUAL), mask=inside)


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
    residual: torch.Tensor | None = None,
    gated: bool = False,
    out: torch.Tensor | None = None,
    also: Sequence[tuple[int, torch.Tensor]] = (),
    after: tuple[torch.Tensor, float, torch.Tensor] | None = None,
) -> torch.Tensor:
    """[T, N] of x [T, K], contiguous, and weight [N, K] (gated: [2 N, K], gate rows first). K divisible
    by 64. also: up to two (first token, weight): tokens from there on meet that weight instead. after, with a
    residual and no bias: weight and epsilon of an RMSNorm of the output, and where that goes [T, N].
    """
    T, K = x_TK.shape
    N = weight.shape[0] // 2 if gated else weight.shape[0]
    y = out if out is not None else torch.empty(T, N, dtype=x_TK.dtype, device=x_TK.device)
    step, split = step_of(K), slices_of(N, K)
    tile = 2 * TILE if N > WIDE else TILE
    columns = min(128, max(16, triton.next_power_of_2(T)))
    last = T <= 16
    rows = after is not None and split > 1 and not last
    inner = INNER_FROM <= T and split > 1 and K <= INNER_K and not rows
    if inner:
        columns = min(columns, 64 if gated else 32)
    elif split > 1:
        columns = min(columns, 64)
    starts = [first for first, _ in also] + [T] * (2 - len(also))
    matrices = [weight, *(other for _, other in also), *[weight] * (2 - len(also))]
    runs = (starts[0], starts[1] - starts[0], T - starts[1])
    tiles = sum(triton.cdiv(run, columns) for run in runs)
    old = residual if residual is not None else y
    flags = {"BIAS": bias is not None, "RESIDUAL": residual is not None, "GATED": gated, "PDL": x_TK.is_cuda}
    _linear[triton.cdiv(N, tile), tiles, 1 if inner else split](
        x_TK, *matrices, bias, old, y, space.partial, space.arrived, *starts, T, N, K,
        BN=tile, BT=columns, BK=step, SPLIT=split, INNER=inner, LAST=last, **flags,
        num_warps=4, num_stages=5 if columns <= 32 else 4, **pdl(x_TK),
    )  # fmt: skip
    if rows and after is not None:
        gain, eps, normed = after
        reduce_rows[(T,)](
            space.partial, old, y, gain, eps, normed, T, N,
            SPLIT=split, PAD=triton.next_power_of_2(N), PDL=x_TK.is_cuda, num_warps=4, **pdl(x_TK),
        )  # fmt: skip
        return y
    if split > 1 and not last and not inner:
        reduce[(triton.cdiv(T * N, 512),)](
            space.partial, bias, old, y, T, N,
            SPLIT=split, BLOCK=512, **flags, num_warps=4, **pdl(x_TK),
        )  # fmt: skip
    if after is not None:
        rms_norm(y, *after)
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
