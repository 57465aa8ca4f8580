"""What a whole step hands on to the next one, one launch each: `keep` a single token, `leave` a draft with
its siblings.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl
from model.kernels.sequence import Block, Chain
from model.kernels.settle import Carried, Columns, Settled


@triton.jit
def _keep(chosen, report, pending, length, out, PDL: tl.constexpr):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    tl.store(pending, tl.load(chosen))
    tl.store(length, tl.load(length) + 1)
    i = tl.arange(0, 4)
    tl.store(out + i, tl.load(report + i, mask=i < 3), mask=i < 3)


def keep(carried: Carried, chosen: torch.Tensor, report: torch.Tensor, out: torch.Tensor) -> None:
    """Hand one chosen token on; out [3] gets its report."""
    _keep[(1,)](
        chosen, report, carried.pending, carried.length, out, PDL=out.is_cuda, num_warps=1, **pdl(out)
    )


@triton.jit
def _leave(
    facts, index, vocab, tokens, second, sure, pending, draft, beside, beside_at, length, begins, picked, out,
    B: tl.constexpr, C: tl.constexpr, S: tl.constexpr, OWN: tl.constexpr, LONGEST: tl.constexpr,
    MOST: tl.constexpr, MANY: tl.constexpr, WIDE: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """One program; with siblings, model.drafter.promises and its best places."""
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    first = tl.load(facts)
    i = tl.arange(0, WIDE)
    # Position `first` of the block holds the pending token; what follows it is the next draft.
    new = tl.load(tokens + first + i, mask=(first + i < B) & (i < B - 1), other=-1)
    tl.store(draft + i, new, mask=i < LONGEST)
    tl.store(out + i, new.to(tl.float32), mask=i < B - 1)
    tl.store(length, tl.load(facts + 1))
    tl.store(pending, tl.load(facts + 2).to(tl.int64))
    m = tl.arange(0, MANY)
    tl.store(beside_at + m, tl.full((MANY,), -1, tl.int64), mask=(m >= S) & (m < MOST))
    if S:
        live = (i >= first) & (i < B)
        best_B = tl.load(sure + 2 * i, mask=live, other=1.0)
        second_B = tl.load(sure + 2 * i + 1, mask=live, other=0.0)
        ahead_B = tl.load(sure + 2 * i - 2, mask=(i > first) & (i < B), other=1.0)
        reach, before = tl.cumprod(best_B, 0), tl.cumprod(ahead_B, 0)
        drafted = tl.where(live, reach, 0.0)
        run = (tl.sum(drafted, 0) - tl.cumsum(drafted, 0)) / tl.maximum(reach, 1e-30)
        gain = before * second_B * (1 + tl.minimum(run, OWN - 1))
        gain = tl.where(i < B, tl.where(live, gain, 0.0), -1.0)
        for s in tl.static_range(S):
            at = tl.argmax(gain, 0)
            number = tl.load(second + at)
            tl.store(beside_at + s, tl.where(tl.max(gain, 0) > 0, at - first, -1).to(tl.int64))
            tl.store(beside + s * OWN, tl.load(vocab + tl.load(index + at * C + number)))
            tl.store(begins + s, at)
            tl.store(picked + s, number)
            gain = tl.where(i == at, -1.0, gain)


def leave(
    columns: Columns, carried: Carried, settled: Settled, block: Block, chain: Chain, out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hand the draft, the places of its siblings with their first tokens, the pending token and the cache's
    length on; out: gets the draft. Back come, for siblings_in_sequence, the block position at which each
    sibling begins and the candidate it begins with, [siblings] int32 both. Of places that promise the same
    the first one is taken.
    """
    (B, C), S, device = block.index_BC.shape, columns.siblings, out.device
    begins = torch.empty(max(1, S), dtype=torch.int32, device=device)
    picked = torch.empty(max(1, S), dtype=torch.int32, device=device)
    longest, most = len(carried.draft), len(carried.beside_at)
    _leave[(1,)](
        settled.facts, block.index_BC, block.vocab, chain.tokens_B, chain.second_B, chain.sure_B2,
        carried.pending, carried.draft, carried.beside, carried.beside_at, carried.length, begins, picked,
        out, B=B, C=C, S=S, OWN=columns.own, LONGEST=longest, MOST=most, MANY=triton.next_power_of_2(most),
        WIDE=triton.next_power_of_2(max(B, longest)), PDL=out.is_cuda, num_warps=1, **pdl(out),
    )  # fmt: skip
    return begins, picked
