"""The best few of each row of scores: those of runs of a row, then the best of these, in two launches.

    scores_BC, index_BC = best_of(scores_BV, count)

A program has a run in its registers and finds, bit by bit from the highest, the largest number that `count`
scores reach (a radix selection, with comparisons in place of buckets). Of equal scores the first are taken.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl

RUN = 4096


@triton.jit
def _ordered(x, BITS: tl.constexpr):
    """Floats as integers of BITS bits in the same order (bfloat16 is the upper half of a float32)."""
    bits = x.to(tl.float32).to(tl.int32, bitcast=True)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits) >> (32 - BITS)


@triton.jit
def _best(
    scores, names, best, index, V, length, C: tl.constexpr, PAD: tl.constexpr, BITS: tl.constexpr,
    NAMED: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """The best C of one run of a row, in the order of their places. NAMED: a score's index is its name."""
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    row, run = tl.program_id(0).to(tl.int64), tl.program_id(1)
    i = tl.arange(0, PAD)
    v = run * length + i
    inside = (i < length) & (v < V)
    x = tl.load(scores + row * V + v, mask=inside, other=0.0)
    LOWEST: tl.constexpr = -(1 << (BITS - 1))
    key = tl.where(inside, _ordered(x, BITS), LOWEST)
    bound = tl.where(tl.sum((key >= 0).to(tl.int32), 0) >= C, 0, LOWEST)
    for bit in range(BITS - 1):
        higher = bound + (1 << (BITS - 2 - bit))
        bound = tl.where(tl.sum((key >= higher).to(tl.int32), 0) >= C, higher, bound)
    above, equal = key > bound, key == bound
    # Two running counts in one: a run has fewer than 2^16 scores.
    counts = tl.cumsum((above.to(tl.int32) << 16) + equal.to(tl.int32), 0)
    ahead, level = counts >> 16, counts & 0xFFFF
    wanted = C - tl.sum(above.to(tl.int32), 0)
    taken = above | (equal & (level <= wanted))
    place = (row * tl.num_programs(1) + run) * C + ahead + tl.minimum(level, wanted) - 1
    name = v.to(tl.int64)
    if NAMED:
        name = tl.load(names + row * V + v, mask=taken, other=0)
    tl.store(best + place, x, mask=taken)
    tl.store(index + place, name, mask=taken)


def best_of(scores_BV: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(scores, index int64) [B, count] of contiguous rows of at least `count` in float32 or bfloat16: those
    that torch's topk gives, in the order of the row.
    """
    assert scores_BV.dtype in (torch.float32, torch.bfloat16)
    names, some = None, scores_BV
    while True:
        B, V = some.shape
        runs = triton.cdiv(V, RUN)
        best = torch.empty(B, runs * count, dtype=some.dtype, device=some.device)
        index = torch.empty(B, runs * count, dtype=torch.int64, device=some.device)
        length = triton.cdiv(V, runs)
        pad = triton.next_power_of_2(length)
        _best[(B, runs)](
            some, names, best, index, V, length, C=count, PAD=pad, BITS=8 * some.element_size(),
            NAMED=names is not None, PDL=some.is_cuda, num_warps=max(1, min(8, pad // 128)), **pdl(some),
        )  # fmt: skip
        if runs == 1:
            return best, index
        names, some = index, best
