"""Attention of one pass over the cache, with the visibility rules of model.roles computed in the kernel.

A program takes one run of keys (model.kernels.runs) for one tile of queries; the one that arrives last at a
tile puts its runs together. Rotation and the writing of this pass's keys and values are part of it, so a
layer's attention is one launch. Tiles depend on the query's place only. Queries that share a key head are
rows of one tile. What is cached is read while the projection before this launch still runs.

A sibling (model.drafter) has a tile of its own, which goes over the slots that its tokens would have in the
line: from its first position on it reads keys from where they lie, behind the line.

Of one token the projection may come as sums that are still to be put together, and what attention gives is
left in runs: whoever reads it puts it together (model.kernels.token).
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
from model.kernels.parts import biased, projected
from model.kernels.pointwise import turned, turned_rows, whole
from model.kernels.runs import (
    LAST_SPANS,
    ROWS,
    SPAN,
    WAYS,
    Attended,
    RunSpace,
    combine,
    gather,
    launched,
    put_together,
)

BESIDE = 3
"""Role of a sibling's token, for these kernels: its keys are its own."""


@triton.jit
def mark(role, position, block, none):
    """Of a clean token its position, of a draft's and a length query what no position is: its block, its
    place.
    """
    other = tl.where(role == 1, (1 << 28) + block, tl.where(role == 2, (1 << 29) + position, none))
    return tl.where(role == 0, position, other)


# One kernel for all widths: no compiler may do otherwise for a single token.
@triton.jit(do_not_specialize=["T", "first"])
def _attend(
    qkv,
    bias,
    cos,
    sin,
    keys,
    values,
    role,
    position,
    block,
    begin,
    length,
    forks,
    part_o,
    part_m,
    part_l,
    arrived,
    out,
    T,
    first,
    slots,
    scale,
    SIBLINGS: tl.constexpr,
    OWN: tl.constexpr,
    BESIDE: tl.constexpr,
    G: tl.constexpr,
    REP: tl.constexpr,
    K: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    SPAN: tl.constexpr,
    LAST: tl.constexpr,
    PARTS: tl.constexpr,
    WAYS: tl.constexpr,
    PDL: tl.constexpr,
):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
    tile, g, span = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n = tl.load(length)
    live = tl.minimum(tl.cdiv(n + T, SPAN), tl.num_programs(2))
    if LAST:  # noqa: SIM102 - known when this is compiled
        if span >= live:
            return
    rows = tile * ROWS + tl.arange(0, ROWS)
    total = T * REP
    inside = rows < total
    fork = 1 << 30
    moved = 0
    if SIBLINGS:
        number = tile - tl.cdiv(total, ROWS)
        own = number >= 0
        number = tl.maximum(number, 0)
        begin_own = first + number * OWN
        line = inside & ((rows < first * REP) | (rows >= (first + SIBLINGS * OWN) * REP))
        rows = tl.where(own, begin_own * REP + tl.arange(0, ROWS), rows)
        inside = tl.where(own, rows < (begin_own + OWN) * REP, line)
        fork = tl.where(own, tl.load(forks + number), 1 << 30)
        moved = tl.where(own, n + begin_own - fork, 0)
    token = rows // REP
    d, half = tl.arange(0, K), tl.arange(0, K // 2)
    WIDE: tl.constexpr = (REP + 2) * G * K
    kind: tl.constexpr = keys.dtype.element_ty
    m = tl.full((ROWS,), float("-inf"), dtype=tl.float32)
    l = tl.zeros((ROWS,), dtype=tl.float32)  # noqa: E741 - the letter of the papers
    acc = tl.zeros((ROWS, K), dtype=tl.float32)
    if span < live:
        # Fields, angles and what is cached are older than this graph's last full stop (model.kernels.launch):
        # they are read while the projection before this launch still runs.
        q_role = tl.load(role + token, mask=inside, other=-1)
        q_pos = tl.load(position + token, mask=inside, other=0)
        # A query sees clean keys up to `reach`, and keys whose mark is its own.
        reach = tl.where(q_role == 1, tl.load(begin + token, mask=inside, other=0) - 1, q_pos)
        mine = mark(q_role, q_pos, tl.load(block + token, mask=inside, other=0), -1)
        if PARTS:
            # The heads of one token, over and over in the rows: only the first are kept.
            FEW: tl.constexpr = triton.next_power_of_2(REP)
            head = tl.arange(0, FEW)
            some, column = (head < REP)[:, None], (g * REP + head)[:, None] * K + half[None, :]
            every = half >= 0
            k_column, v_column = (REP * G + g) * K + half, (REP * G + G + g) * K + d
            q1_bias, q2_bias = biased(bias, column, some), biased(bias, column + K // 2, some)
            k1_bias, k2_bias = biased(bias, k_column, every), biased(bias, k_column + K // 2, every)
            v_bias = biased(bias, v_column, d >= 0)
            own_turn = tl.load(position) * K + half
            own_cos, own_sin = tl.load(cos + own_turn), tl.load(sin + own_turn)
            q_cos, q_sin = own_cos[None, :], own_sin[None, :]
        else:
            turn = (q_pos * K)[:, None] + half[None, :]
            q_cos = tl.load(cos + turn, mask=inside[:, None], other=0.0)
            q_sin = tl.load(sin + turn, mask=inside[:, None], other=0.0)
        for i in tl.static_range(SPAN // KEYS):
            at = span * SPAN + i * KEYS
            due = at + tl.arange(0, KEYS)
            slot = tl.where(due < fork, due, due + moved)
            fresh = slot - n
            new = (fresh >= 0) & (fresh < T)
            k_pos = tl.load(position + fresh, mask=new, other=0)
            k_role = tl.load(role + fresh, mask=new, other=-1)
            k_mark = mark(k_role, k_pos, tl.load(block + fresh, mask=new, other=0), 1 << 30)
            k_mark = tl.where(slot < n, slot, k_mark)
            kept = (g * slots + slot).to(tl.int64)[:, None] * K
            old = (slot < n)[:, None]
            k1 = tl.load(keys + kept + half[None, :], mask=old, other=0.0)
            k2 = tl.load(keys + kept + K // 2 + half[None, :], mask=old, other=0.0)
            v_SK = tl.load(values + kept + d[None, :], mask=old, other=0.0)
            if i == 0:
                if PDL:
                    tl.extra.cuda.gdc_wait()
                if PARTS:
                    q1 = projected(qkv, q1_bias, column, some, kind, WIDE, PARTS)
                    q2 = projected(qkv, q2_bias, column + K // 2, some, kind, WIDE, PARTS)
                    q1, q2 = turned(q1, q2, q_cos, q_sin)
                    q_RK = tl.broadcast_to(whole(q1, q2)[None, :, :], (ROWS // FEW, FEW, K))
                    q_RK = tl.reshape(q_RK, (ROWS, K))
                else:
                    source = qkv + (token * WIDE + (g * REP + rows % REP) * K)[:, None] + half[None, :]
                    q1 = tl.load(source, mask=inside[:, None], other=0.0)
                    q2 = tl.load(source + K // 2, mask=inside[:, None], other=0.0)
                    q1, q2 = turned(q1, q2, q_cos, q_sin)
                    q_RK = whole(q1, q2)
            if at + KEYS > n:
                # This pass's own keys and values are not in the cache yet. Every program turns those it
                # needs; nobody reads them from the cache before the next launch, so one may write them
                # meanwhile: that of tile 0, which goes over all slots in their order.
                mask = new[:, None]
                if PARTS:  # there is one of them
                    x = projected(qkv, k1_bias, k_column, every, kind, WIDE, PARTS)
                    y = projected(qkv, k2_bias, k_column + K // 2, every, kind, WIDE, PARTS)
                    v = projected(qkv, v_bias, v_column, d >= 0, kind, WIDE, PARTS)[None, :]
                    x, y = turned(x, y, own_cos, own_sin)
                    x, y = x[None, :], y[None, :]
                else:
                    own_keys = qkv + (fresh * WIDE + (REP * G + g) * K)[:, None]
                    turn_keys = (k_pos * K)[:, None] + half[None, :]
                    x, y = turned_rows(own_keys + half[None, :], turn_keys, cos, sin, mask, K // 2)
                    v = tl.load(own_keys + G * K + d[None, :], mask=mask, other=0.0)
                k1, k2, v_SK = tl.where(mask, x, k1), tl.where(mask, y, k2), tl.where(mask, v, v_SK)
                writes = (new & (tile == 0))[:, None]
                tl.store(keys + kept + half[None, :], k1, mask=writes)
                tl.store(keys + kept + K // 2 + half[None, :], k2, mask=writes)
                tl.store(values + kept + d[None, :], v_SK, mask=writes)
            s = tl.dot(q_RK, tl.trans(whole(k1, k2))) * scale
            seen = (k_mark[None, :] <= reach[:, None]) | (k_mark[None, :] == mine[:, None])
            if SIBLINGS:
                seen = seen | ((q_role[:, None] == BESIDE) & (due[None, :] <= q_pos[:, None]))
            m, l, acc = gather(tl.where(seen, s, float("-inf")), v_SK, m, l, acc)  # noqa: E741
    elif PDL:
        tl.extra.cuda.gdc_wait()
    index = (span * G + g) * total + rows
    tl.store(part_m + index, m, mask=inside)
    tl.store(part_l + index, l, mask=inside)
    tl.store(part_o + index[:, None] * K + d[None, :], acc, mask=inside[:, None])
    if LAST:
        # No program waits: the one that finds all others of its tile arrived puts the runs together. The
        # barrier brings every thread's stores before the count, whose release and acquire order them across
        # programs; the counter is 0 again before the next launch looks at it.
        tl.debug_barrier()
        count = arrived + tile * G + g
        if tl.atomic_add(count, 1, sem="acq_rel") == live - 1:
            tl.debug_barrier()
            tl.store(count, 0)
            combine(part_o, part_m, part_l, out, rows, inside, g, live, T, G, REP, K, WAYS)


@dataclass(frozen=True, slots=True)
class Beside:
    """The siblings of a pass: its columns first .. first + count * own, `own` tokens each. forks: the slot
    that each one's first token would have in the line [count] int32.
    """

    first: int
    count: int
    own: int
    forks: torch.Tensor


Fields = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""role, position, block, begin [T] int32 (model.roles.Tokens)."""


def attend(
    qkv_TC: torch.Tensor,
    turn: tuple[torch.Tensor, torch.Tensor],
    keys_GSK: torch.Tensor,
    values_GSK: torch.Tensor,
    fields: Fields,
    length: torch.Tensor,
    span_slots: int,
    space: RunSpace,
    out_THK: torch.Tensor,
    beside: Beside | None = None,
) -> None:
    """One layer's attention of T tokens: turn their queries and keys, write keys and values into slots
    length..length+T-1 of the cache, attend.

    qkv: q, k, v of all heads, a row a token. turn: cos and sin [positions, K] in the same dtype. length [1]
    int32: committed tokens. span_slots: slots that may be in use, at least length + T; fixed for a captured
    graph. beside: siblings in the pass, whose role is `BESIDE`.
    """
    T, H, K = out_THK.shape
    G, slots, _ = keys_GSK.shape
    repeat = H // G
    spans = triton.cdiv(span_slots, SPAN)
    first, count, own, forks = 0, 0, 0, length
    if beside is not None:
        first, count, own, forks = beside.first, beside.count, beside.own, beside.forks
        assert own * repeat <= ROWS
    tiles, last = triton.cdiv(T * repeat, ROWS) + count, spans <= LAST_SPANS
    assert tiles * G <= len(space.arrived)
    _attend[(tiles, G, spans)](
        qkv_TC, None, *turn, keys_GSK, values_GSK, *fields, length, forks, space.o, space.m, space.l,
        space.arrived, out_THK, T, first, slots, K**-0.5, SIBLINGS=count, OWN=own, BESIDE=BESIDE, G=G,
        REP=repeat, K=K, ROWS=ROWS, SPAN=SPAN, LAST=last, PARTS=0, WAYS=WAYS, PDL=qkv_TC.is_cuda,
        **launched(K), **pdl(qkv_TC),
    )  # fmt: skip
    if not last:
        put_together(space, out_THK, G, spans)


def attend_one(
    sums: torch.Tensor,
    slices: int,
    bias: torch.Tensor | None,
    turn: tuple[torch.Tensor, torch.Tensor],
    keys_GSK: torch.Tensor,
    values_GSK: torch.Tensor,
    fields: Fields,
    length: torch.Tensor,
    span_slots: int,
    space: RunSpace,
) -> Attended:
    """`attend` for one token whose projection is in sums [slices, C] float32, its bias [C] apart."""
    G, slots, K = keys_GSK.shape
    repeat = sums.shape[1] // (G * K) - 2
    _attend[(1, G, triton.cdiv(span_slots, SPAN))](
        sums, bias, *turn, keys_GSK, values_GSK, *fields, length, length, space.o, space.m, space.l,
        space.arrived, sums, 1, 0, slots, K**-0.5, SIBLINGS=0, OWN=0, BESIDE=BESIDE, G=G, REP=repeat, K=K,
        ROWS=ROWS, SPAN=SPAN, LAST=False, PARTS=slices, WAYS=WAYS, PDL=sums.is_cuda,
        **launched(K), **pdl(sums),
    )  # fmt: skip
    return Attended(space, length, G * repeat)
