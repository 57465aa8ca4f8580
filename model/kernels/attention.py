"""Attention of one pass over the cache, with the visibility rules of model.roles computed in the kernel.

Keys are split into runs of `SPAN` slots, one program each, and the runs are combined in order (flash
decoding, Dao et al. 2023), by the program of a tile that arrives last. Rotation and the writing of this
pass's keys and values are part of it, so a layer's attention is one launch. Runs, tiles and their order
depend on the slot only, so a query's output has the same bits whatever else is in the pass and however long
the cache is. Queries that share a key head are rows of one tile.

A sibling (model.drafter) has a tile of its own, which goes over the slots that its tokens would have in the
line: from its first position on it reads keys from where they lie, behind the line.
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
from model.kernels.pointwise import turned

ROWS = 64
SPAN = 128
WAYS = 4
"""Runs whose partial results are read at once."""
LAST_SPANS = 32
"""Up to so many runs the program that arrives last at a tile puts them together; more are worth a launch
whose programs share the reading.
"""
BESIDE = 3
"""Role of a sibling's token, for these kernels: its keys are its own."""


@triton.jit
def gather(s, v_SK, m, l, acc):  # noqa: E741 - the letter of the papers
    """One step of the online softmax: scores s [rows, keys] join the maximum m, the sum l and acc."""
    top = tl.maximum(m, tl.max(s, 1))
    safe = tl.where(top == float("-inf"), 0.0, top)
    fade = tl.exp(m - safe)
    p = tl.exp(s - safe[:, None])
    return top, l * fade + tl.sum(p, 1), tl.dot(p.to(v_SK.dtype), v_SK, acc * fade[:, None])


@triton.jit
def whole(x, y):
    """[R, K] of its halves [R, K / 2]."""
    return tl.reshape(tl.permute(tl.join(x, y), (0, 2, 1)), (x.shape[0], 2 * x.shape[1]))


@triton.jit
def turned_rows(source, turn, cos, sin, mask, HALF: tl.constexpr):
    """turned() of the heads whose first halves lie at source [R, K / 2]."""
    a, b = tl.load(source, mask=mask, other=0.0), tl.load(source + HALF, mask=mask, other=0.0)
    return turned(a, b, tl.load(cos + turn, mask=mask, other=0.0), tl.load(sin + turn, mask=mask, other=0.0))


@triton.jit
def mark(role, position, block, none):
    """Of a clean token its position, of a draft's and a length query what no position is: its block, its
    place.
    """
    other = tl.where(role == 1, (1 << 28) + block, tl.where(role == 2, (1 << 29) + position, none))
    return tl.where(role == 0, position, other)


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


# One kernel for all widths: no compiler may do otherwise for a single token.
@triton.jit(do_not_specialize=["T", "first"])
def _attend(
    qkv,
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
    WAYS: tl.constexpr,
    PDL: tl.constexpr,
):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
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
    m = tl.full((ROWS,), float("-inf"), dtype=tl.float32)
    l = tl.zeros((ROWS,), dtype=tl.float32)  # noqa: E741 - the letter of the papers
    acc = tl.zeros((ROWS, K), dtype=tl.float32)
    if span < live:
        q_role = tl.load(role + token, mask=inside, other=-1)
        q_pos = tl.load(position + token, mask=inside, other=0)
        # A query sees clean keys up to `reach`, and keys whose mark is its own.
        reach = tl.where(q_role == 1, tl.load(begin + token, mask=inside, other=0) - 1, q_pos)
        mine = mark(q_role, q_pos, tl.load(block + token, mask=inside, other=0), -1)
        source = qkv + (token * WIDE + (g * REP + rows % REP) * K)[:, None] + half[None, :]
        turn = (q_pos * K)[:, None] + half[None, :]
        q1, q2 = turned_rows(source, turn, cos, sin, inside[:, None], K // 2)
        q_RK = whole(q1, q2)
        for at in range(span * SPAN, span * SPAN + SPAN, KEYS):
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
            if at + KEYS > n:
                # This pass's own keys and values are not in the cache yet. Every program turns those it
                # needs; nobody reads them from the cache before the next launch, so one may write them
                # meanwhile: that of tile 0, which goes over all slots in their order.
                own_keys = qkv + (fresh * WIDE + (REP * G + g) * K)[:, None]
                turn_keys = (k_pos * K)[:, None] + half[None, :]
                x, y = turned_rows(own_keys + half[None, :], turn_keys, cos, sin, new[:, None], K // 2)
                v = tl.load(own_keys + G * K + d[None, :], mask=new[:, None], other=0.0)
                k1, k2 = tl.where(new[:, None], x, k1), tl.where(new[:, None], y, k2)
                v_SK = tl.where(new[:, None], v, v_SK)
                writes = (new & (tile == 0))[:, None]
                tl.store(keys + kept + half[None, :], x, mask=writes)
                tl.store(keys + kept + K // 2 + half[None, :], y, mask=writes)
                tl.store(values + kept + d[None, :], v, mask=writes)
            s = tl.dot(q_RK, tl.trans(whole(k1, k2))) * scale
            seen = (k_mark[None, :] <= reach[:, None]) | (k_mark[None, :] == mine[:, None])
            if SIBLINGS:
                seen = seen | ((q_role[:, None] == BESIDE) & (due[None, :] <= q_pos[:, None]))
            m, l, acc = gather(tl.where(seen, s, float("-inf")), v_SK, m, l, acc)  # noqa: E741
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


@dataclass(frozen=True, slots=True)
class Beside:
    """The siblings of a pass: its columns first .. first + count * own, `own` tokens each. forks: the slot
    that each one's first token would have in the line [count] int32.
    """

    first: int
    count: int
    own: int
    forks: torch.Tensor


class AttentionSpace:
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


def attend(
    qkv_TC: torch.Tensor,
    turn: tuple[torch.Tensor, torch.Tensor],
    keys_GSK: torch.Tensor,
    values_GSK: torch.Tensor,
    fields: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    length: torch.Tensor,
    span_slots: int,
    space: AttentionSpace,
    out_THK: torch.Tensor,
    beside: Beside | None = None,
) -> None:
    """One layer's attention of T tokens: turn their queries and keys, write keys and values into slots
    length..length+T-1 of the cache, attend.

    qkv: q, k, v of all heads, a row a token. turn: cos and sin [positions, K] in the same dtype. fields:
    role, position, block, begin [T] int32 (model.roles.Tokens). length [1] int32: committed tokens.
    span_slots: slots that may be in use, at least length + T; fixed for a captured graph. beside: siblings in
    the pass, whose role is `BESIDE`.
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
    sizes = {"G": G, "REP": repeat, "K": K, "WAYS": WAYS, "PDL": qkv_TC.is_cuda}
    _attend[(tiles, G, spans)](
        qkv_TC, *turn, keys_GSK, values_GSK, *fields, length, forks, space.o, space.m, space.l,
        space.arrived, out_THK, T, first, slots, K**-0.5, SIBLINGS=count, OWN=own, BESIDE=BESIDE,
        ROWS=ROWS, SPAN=SPAN, LAST=last, **sizes, **launched(K), **pdl(qkv_TC),
    )  # fmt: skip
    if not last:
        _combine[(T * repeat, G)](
            space.o, space.m, space.l, out_THK, T, spans, **sizes, num_warps=1, **pdl(qkv_TC)
        )
