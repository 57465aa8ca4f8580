"""Rotation, cache writes and attention for many rows of a cache at once: clean tokens only, any mix of rows.

A pass is T tokens, each with its row and position (slot = position); a row below 0 marks padding. Tokens of
one row that are neighbours share a tile, up to `TOKENS` of them. Tiles have the shape and the order of
model.kernels.attention, so a token gets the bits that it gets when its row runs alone.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl
from model.kernels.pointwise import normed, turned
from model.kernels.runs import ROWS, SPAN, RunSpace, gather, launched, put_together


@triton.jit
def _rotate_rows(
    qkv,
    cos,
    sin,
    row_of,
    position,
    q_out,
    keys,
    values,
    q_norm,
    k_norm,
    eps,
    slots,
    H: tl.constexpr,
    G: tl.constexpr,
    K: tl.constexpr,
    NORM: tl.constexpr,
    PDL: tl.constexpr,
):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    t, head = tl.program_id(0), tl.program_id(1)
    half = tl.arange(0, K // 2)
    source = qkv + (t * (H + 2 * G) + head) * K
    row = tl.load(row_of + t)
    slot = tl.load(position + t)
    used = row >= 0
    first = tl.load(source + half)
    second = tl.load(source + K // 2 + half)
    kept = (row.to(tl.int64) * G * slots + slot) * K
    if head >= H + G:
        target = values + kept + (head - H - G).to(tl.int64) * slots * K
        tl.store(target + half, first, mask=used)
        tl.store(target + K // 2 + half, second, mask=used)
    else:
        if NORM:
            first, second = normed(first, second, q_norm if head < H else k_norm, eps, K)
        at = slot * K
        x, y = turned(first, second, tl.load(cos + at + half), tl.load(sin + at + half))
        if head < H:
            target = q_out + (t * H + head).to(tl.int64) * K
            used = head >= 0
        else:
            target = keys + kept + (head - H).to(tl.int64) * slots * K
        tl.store(target + half, x, mask=used)
        tl.store(target + K // 2 + half, y, mask=used)


def rotate_rows(
    qkv_TC: torch.Tensor,
    turn: tuple[torch.Tensor, torch.Tensor],
    row: torch.Tensor,
    position: torch.Tensor,
    q_THK: torch.Tensor,
    keys_RGSK: torch.Tensor,
    values_RGSK: torch.Tensor,
    norms: tuple[torch.Tensor, torch.Tensor, float] | None,
) -> None:
    """Split fused q, k, v; normalise (Qwen3) and rotate q and k; q to its buffer, k and v into their slots.

    turn: cos and sin [positions, K] in the compute dtype. row, position: int32 [T].
    """
    T, H, K = q_THK.shape
    _, G, slots, _ = keys_RGSK.shape
    q_norm, k_norm, eps = norms if norms is not None else (turn[0], turn[0], 0.0)
    _rotate_rows[(T, H + 2 * G)](
        qkv_TC, *turn, row, position, q_THK, keys_RGSK, values_RGSK, q_norm, k_norm, eps, slots,
        H=H, G=G, K=K, NORM=norms is not None, PDL=q_THK.is_cuda, num_warps=1, **pdl(q_THK),
    )  # fmt: skip


@triton.jit
def _attend_rows(
    q,
    keys,
    values,
    row_of,
    position,
    tile_start,
    tile_size,
    part_o,
    part_m,
    part_l,
    T,
    slots,
    scale,
    G: tl.constexpr,
    REP: tl.constexpr,
    K: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    SPAN: tl.constexpr,
    PDL: tl.constexpr,
):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    tile, g, span = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start, size = tl.load(tile_start + tile), tl.load(tile_size + tile)
    if size == 0:
        return
    lanes = tl.arange(0, ROWS)
    token = start + lanes // REP
    inside = lanes < size * REP
    d = tl.arange(0, K)
    row = tl.load(row_of + start).to(tl.int64)
    last = tl.load(position + start + size - 1)
    m = tl.full((ROWS,), float("-inf"), dtype=tl.float32)
    l = tl.zeros((ROWS,), dtype=tl.float32)  # noqa: E741 - the letter of the papers
    acc = tl.zeros((ROWS, K), dtype=tl.float32)
    if span * SPAN <= last:
        head = g * REP + lanes % REP
        q_RK = tl.load(
            q + (token * (G * REP) + head)[:, None] * K + d[None, :], mask=inside[:, None], other=0.0
        )
        reach = tl.load(position + token, mask=inside, other=0)
        for at in range(span * SPAN, span * SPAN + SPAN, KEYS):
            slot = at + tl.arange(0, KEYS)
            where = ((row * G + g) * slots + slot)[:, None] * K + d[None, :]
            exists = (slot < slots)[:, None]
            k_SK = tl.load(keys + where, mask=exists, other=0.0)
            v_SK = tl.load(values + where, mask=exists, other=0.0)
            s = tl.dot(q_RK, tl.trans(k_SK)) * scale
            s = tl.where(slot[None, :] <= reach[:, None], s, float("-inf"))
            m, l, acc = gather(s, v_SK, m, l, acc)  # noqa: E741
    total = T * REP
    index = (span * G + g) * total + start * REP + lanes
    tl.store(part_m + index, m, mask=inside)
    tl.store(part_l + index, l, mask=inside)
    tl.store(part_o + index[:, None] * K + d[None, :], acc, mask=inside[:, None])


def tokens_of_a_tile(heads: int, kv_heads: int) -> int:
    """Neighbouring tokens of one row that share a tile, at most."""
    return ROWS // (heads // kv_heads)


def attend_rows(
    q_THK: torch.Tensor,
    keys_RGSK: torch.Tensor,
    values_RGSK: torch.Tensor,
    row: torch.Tensor,
    position: torch.Tensor,
    tiles: torch.Tensor,
    span_slots: int,
    space: RunSpace,
    out_THK: torch.Tensor,
) -> None:
    """Causal attention of T tokens whose keys and values are already in their rows' slots.

    tiles: int32 [2, n]: first token and number of tokens (0: unused) of each. span_slots: slots that may be
    in use, fixed for a captured graph. What comes out for padding means nothing.
    """
    T, H, K = q_THK.shape
    _, G, slots, _ = keys_RGSK.shape
    repeat = H // G
    spans = triton.cdiv(span_slots, SPAN)
    _attend_rows[(tiles.shape[1], G, spans)](
        q_THK, keys_RGSK, values_RGSK, row, position, tiles[0], tiles[1], space.o, space.m, space.l,
        T, slots, K**-0.5, G=G, REP=repeat, K=K, ROWS=ROWS, SPAN=SPAN,
        PDL=q_THK.is_cuda, **launched(K), **pdl(q_THK),
    )  # fmt: skip
    put_together(space, out_THK, G, spans)
