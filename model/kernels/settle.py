"""The bookkeeping of a whole step: three launches around its pass and its draft.

`lay` writes what a pass reads, `settle` finds where the draft ended and fetches what the next one is drafted
from, `leave` (model.kernels.leave) hands draft, siblings, token and length on to the next step. Each is what
would be dozens of small launches of torch.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

# ruff: noqa: N815 - shape suffixes carry capitals, in fields as in variables
from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from model.kernels.attention import BESIDE
from model.kernels.launch import pdl


@dataclass(frozen=True, slots=True)
class Carried:
    """What steps hand on, in place. pending [1]: the last token, not in the cache yet; draft [..]: what may
    follow, -1 behind its end; beside [.., own]: its siblings, beside_at [..]: the place of each in the draft,
    -1 for none; all int64. length [1] int32: tokens in the cache.
    """

    pending: torch.Tensor
    draft: torch.Tensor
    beside: torch.Tensor
    beside_at: torch.Tensor
    length: torch.Tensor


@dataclass(frozen=True, slots=True)
class Columns:
    """A pass: the line of `masks` + 1 tokens, `siblings` of `own` tokens, a block of `masks` + 1 behind each
    of the points [..] int64.
    """

    masks: int
    siblings: int
    own: int
    points: torch.Tensor

    @property
    def clean(self) -> int:
        return self.masks + 1 + self.siblings * self.own

    @property
    def width(self) -> int:
        return self.clean + len(self.points) * (self.masks + 1)


@triton.jit
def _lay(
    pending, draft, beside, beside_at, length, points, embedding, hidden, x, fields, positions, drafted,
    forks, T, CLEAN: tl.constexpr, B: tl.constexpr, OWN: tl.constexpr, BESIDE: tl.constexpr, D: tl.constexpr,
    PAD: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """One column of the pass. A full stop (model.kernels.launch): attention reads the fields early."""
    if PDL:
        tl.extra.cuda.gdc_wait()
    t, n = tl.program_id(0), tl.load(length)
    masked, beyond = t >= CLEAN, (t >= B) & (t < CLEAN)
    block, i = (t - CLEAN) // B, (t - CLEAN) % B
    point = tl.load(points + block, mask=masked, other=0).to(tl.int32)
    place = tl.where(masked, point, t)
    sibling, behind = (t - B) // OWN, (t - B) % OWN
    fork = tl.maximum(tl.load(beside_at + sibling, mask=beyond, other=0), 0).to(tl.int32) + 1
    source = tl.where(place == 0, pending, draft + tl.maximum(place - 1, 0))
    source = tl.where(beyond, beside + (t - B), source)
    token = tl.maximum(tl.load(source), 0)
    row = tl.where(masked & (i > 0), hidden, embedding + token * D)
    d = tl.arange(0, PAD)
    tl.store(x + t * D + d, tl.load(row + d, mask=d < D), mask=d < D)
    position = n + tl.where(beyond, fork + behind, place + tl.where(masked, i, 0))
    tl.store(fields + t, tl.where(masked, 1, tl.where(beyond, BESIDE, 0)))
    tl.store(fields + T + t, position)
    tl.store(fields + 2 * T + t, tl.where(masked, block + 1, 0))
    tl.store(fields + 3 * T + t, n + tl.where(masked, point, 0))
    tl.store(positions + t, position.to(tl.int64) + 1, mask=t < CLEAN)
    # The last of the line and of each sibling has none behind it.
    follows = tl.where(beyond, beside + (t - B) + 1, draft + t)
    ends = (t == B - 1) | (beyond & (behind == OWN - 1))
    tl.store(drafted + t, tl.load(follows, mask=(t < CLEAN) & ~ends, other=-1), mask=t < CLEAN)
    tl.store(forks + sibling, position, mask=beyond & (behind == 0))


@dataclass(frozen=True, slots=True)
class Laid:
    """x [T, D]; fields: role, position, block, begin [4, T] int32; of the tokens that the states of the line
    and its siblings predict, positions and what was drafted there, -1 for nothing, [clean] int64 both; forks
    of the siblings, as attention takes them.
    """

    x_TD: torch.Tensor
    fields: torch.Tensor
    positions: torch.Tensor
    drafted: torch.Tensor
    forks: torch.Tensor


def lay(columns: Columns, carried: Carried, embedding: torch.Tensor, hidden_D: torch.Tensor) -> Laid:
    """The columns of a pass behind the cached tokens. hidden: the vector of a masked place."""
    D, T, device = embedding.shape[1], columns.width, embedding.device
    x = torch.empty(T, D, dtype=embedding.dtype, device=device)
    fields = torch.empty(4, T, dtype=torch.int32, device=device)
    positions = torch.empty(columns.clean, dtype=torch.int64, device=device)
    drafted = torch.empty_like(positions)
    forks = torch.empty(max(1, columns.siblings), dtype=torch.int32, device=device)
    _lay[(T,)](
        carried.pending, carried.draft, carried.beside, carried.beside_at, carried.length, columns.points,
        embedding, hidden_D, x, fields, positions, drafted, forks, T, CLEAN=columns.clean,
        B=columns.masks + 1, OWN=columns.own, BESIDE=BESIDE, D=D, PAD=triton.next_power_of_2(D),
        PDL=x.is_cuda, num_warps=4, **pdl(x),
    )  # fmt: skip
    return Laid(x, fields, positions, drafted, forks)


@triton.jit
def _unit(x, out, d, D: tl.constexpr):
    """model.drafter._norm of one row."""
    kind = out.dtype.element_ty
    x_D = tl.load(x + d, mask=d < D, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(x_D * x_D) / D + 1e-6).to(kind).to(tl.float32)
    tl.store(out + d, (x_D * scale).to(kind), mask=d < D)


@triton.jit
def _settle(
    chosen, report, pending, draft, beside, beside_at, length, points, states, embedding, keys, values,
    facts, out, block, units, positions, slots,
    CLEAN: tl.constexpr, B: tl.constexpr, WIDE: tl.constexpr, POINTS: tl.constexpr, MANY: tl.constexpr,
    S: tl.constexpr, SPAD: tl.constexpr, OWN: tl.constexpr, RECORD: tl.constexpr, D: tl.constexpr,
    PAD: tl.constexpr, K: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """Every program finds the end of acceptance for itself. The first B fetch a position of the block and the
    token known there; of the others each moves one head's share of the sibling taken.
    """
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    program, n = tl.program_id(0), tl.load(length)
    i = tl.arange(0, WIDE)
    own_i = tl.load(chosen + i, mask=i < B, other=-1)
    draft_i = tl.load(draft + i, mask=i < B - 1, other=-1)
    accepted = tl.min(tl.where((i < B - 1) & (draft_i == own_i), WIDE, i), 0)
    last = tl.sum(tl.where(i == accepted, own_i, 0), 0)
    taken, added = 0, 0
    if S:
        s, o = tl.arange(0, SPAD), tl.arange(0, OWN)
        at_S = tl.load(beside_at + s, mask=s < S, other=-1)
        head_S = tl.load(beside + s * OWN, mask=s < S, other=-1)
        fits = (s < S) & (at_S == accepted) & (head_S == last)
        here = s[:, None] * OWN + o[None, :]
        inside = (s < S)[:, None] & (o >= 0)[None, :]
        answer_SO = tl.load(chosen + B + here, mask=inside, other=-1)
        follows = inside & (o < OWN - 1)[None, :]
        next_SO = tl.load(beside + here + 1, mask=follows, other=-1)
        run_S = tl.min(tl.where(follows & (next_SO == answer_SO), OWN, o[None, :]), 1)
        found = tl.min(tl.where(fits, s, SPAD), 0)
        taken = tl.where(found < SPAD, found, 0)
        added = tl.sum(tl.where(s == found, 1 + run_S, 0), 0)
        behind = (s == found)[:, None] & (o == added - 1)[None, :]
        last = tl.where(found < SPAD, tl.sum(tl.sum(tl.where(behind, answer_SO, 0), 1), 0), last)
    k = tl.arange(0, MANY)
    point_K = tl.load(points + k, mask=k < POINTS, other=1 << 30).to(tl.int32)
    which = tl.sum((point_K <= accepted).to(tl.int32), 0) - 1
    point = tl.max(tl.where(point_K <= accepted, point_K, 0), 0)
    first = accepted + added - point + 1
    if program < B:
        d = tl.arange(0, PAD)
        state = states + (CLEAN + which * B + program) * D
        tl.store(block + program * D + d, tl.load(state + d, mask=d < D), mask=d < D)
        _unit(state, units + program * D, d, D)
        # The line up to where it was right, the sibling from there on, then the token that comes next.
        place = point + program
        source = tl.where(place == 0, pending, draft + tl.maximum(place - 1, 0))
        source = tl.where(
            place > accepted, beside + taken * OWN + tl.maximum(place - accepted - 1, 0), source
        )
        token = tl.load(source, mask=program < first, other=0)
        token = tl.maximum(tl.where(program < first, token, last), 0)
        _unit(embedding + token * D, units + (B + program) * D, d, D)
        tl.store(positions + program, n.to(tl.int64) + point + 1 + program)
        if program == 0:
            tl.store(facts, first)
            tl.store(facts + 1, n + accepted + added + 1)
            tl.store(facts + 2, last.to(tl.int32))
            j = tl.arange(0, RECORD)
            tl.store(out + j, tl.load(report + j, mask=j < 3 * CLEAN), mask=j < 3 * CLEAN)
            tl.store(out + 3 * CLEAN, accepted.to(tl.float32))
            if S:
                tl.store(out + 3 * CLEAN + 1, taken + 0.0)
                tl.store(out + 3 * CLEAN + 2, added + 0.0)
    elif S:  # noqa: SIM102 - known when this is compiled
        if added > 0:
            token_O1, e = tl.arange(0, OWN)[:, None], tl.arange(0, K)[None, :]
            share = (program - B).to(tl.int64) * slots * K
            there = share + (n + B + taken * OWN + token_O1) * K + e
            target = share + (n + accepted + 1 + token_O1) * K + e
            key, value = tl.load(keys + there), tl.load(values + there)
            # The places may overlap: all is read before any is written.
            tl.debug_barrier()
            tl.store(keys + target, key)
            tl.store(values + target, value)


@dataclass(frozen=True, slots=True)
class Settled:
    """facts int32: the block's position of the pending token, the cache's new length, that token. block
    [B, D]: states of the block that hangs nearest before the end of acceptance; units [2 B, D]: these and the
    embeddings of the tokens known at its positions, normed; positions [B] int64: of the tokens that the
    block's states predict.
    """

    facts: torch.Tensor
    block_BD: torch.Tensor
    units: torch.Tensor
    positions: torch.Tensor


def settle(
    columns: Columns,
    carried: Carried,
    chosen: torch.Tensor,
    report: torch.Tensor,
    states_TD: torch.Tensor,
    embedding: torch.Tensor,
    cache: tuple[torch.Tensor, torch.Tensor],
    out: torch.Tensor,
) -> Settled:
    """Verify the draft. The sibling that goes on where the line ends is taken: its keys and values move to
    the line's places. chosen [clean], report [3, clean] (model.kernels.choice); cache: keys and values
    [L, 1, G, slots, K]; out: gets the report, and how many tokens were accepted, the sibling taken, how many
    it adds.
    """
    B, S, D, device = columns.masks + 1, columns.siblings, states_TD.shape[1], states_TD.device
    keys, values = cache
    L, _, G, slots, K = keys.shape
    facts = torch.empty(3, dtype=torch.int32, device=device)
    block = torch.empty(B, D, dtype=states_TD.dtype, device=device)
    units = torch.empty(2 * B, D, dtype=states_TD.dtype, device=device)
    positions = torch.empty(B, dtype=torch.int64, device=device)
    wide = triton.next_power_of_2
    # One warp: the many small sums on the way to the end of acceptance need no barrier.
    _settle[(B + (L * G if S else 0),)](
        chosen, report, carried.pending, carried.draft, carried.beside, carried.beside_at, carried.length,
        columns.points, states_TD, embedding, keys, values, facts, out, block, units, positions, slots,
        CLEAN=columns.clean, B=B, WIDE=wide(B), POINTS=len(columns.points), MANY=wide(len(columns.points)),
        S=S, SPAD=wide(max(1, S)), OWN=columns.own, RECORD=wide(3 * columns.clean), D=D, PAD=wide(D), K=K,
        PDL=block.is_cuda, num_warps=1, **pdl(block),
    )  # fmt: skip
    return Settled(facts, block, units, positions)
