"""The sparse MLP of a mixture of experts over FP8 weights: one launch a matrix for all experts.

Token and expert pairs are sorted by expert on the device (a stable counting sort), so nothing depends on the
host and a whole pass can be one CUDA graph. A program takes some weight rows of one expert and goes through
the tokens that chose it; experts that no token chose are not read. Grouping tokens by expert is the way of
MegaBlocks (arXiv 2211.15841) and vLLM's fused MoE; model.experts.Experts is the plain torch reference.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from model.kernels.fp8_linear import BLOCK, ROWS, columns, quantise_rows
from model.kernels.launch import pdl

_SORT = 1024
_KINDS = {torch.bfloat16: tl.bfloat16, torch.float16: tl.float16, torch.float32: tl.float32}


@triton.jit
def _choose(
    logits, weights, ids,
    E: tl.constexpr, PAD: tl.constexpr, CHOSEN: tl.constexpr, CPAD: tl.constexpr,
    NORMALISE: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    row = tl.program_id(0)
    e, c = tl.arange(0, PAD), tl.arange(0, CPAD)
    score = tl.load(logits + row * E + e, mask=e < E, other=float("-inf")).to(tl.float32)
    p = tl.exp(score - tl.max(score, 0))
    p = p / tl.sum(p, 0)
    weight = tl.zeros((CPAD,), dtype=tl.float32)
    chosen = tl.zeros((CPAD,), dtype=tl.int32)
    total = 0.0
    for i in tl.static_range(CHOSEN):
        most = tl.max(p, 0)
        best = tl.min(tl.where(p == most, e, PAD), 0)
        weight = tl.where(c == i, most, weight)
        chosen = tl.where(c == i, best, chosen)
        total += most
        p = tl.where(e == best, -1.0, p)
    if NORMALISE:
        weight = weight / total
    tl.store(weights + row * CHOSEN + c, weight.to(weights.dtype.element_ty), mask=c < CHOSEN)
    tl.store(ids + row * CHOSEN + c, chosen, mask=c < CHOSEN)


def choose(logits_TE: torch.Tensor, chosen: int, normalise: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (in the logits' dtype) and ids (int32) [T, chosen]; of equal experts the lower id first."""
    T, E = logits_TE.shape
    weights = torch.empty(T, chosen, dtype=logits_TE.dtype, device=logits_TE.device)
    ids = torch.empty(T, chosen, dtype=torch.int32, device=logits_TE.device)
    _choose[(T,)](
        logits_TE, weights, ids, E=E, PAD=triton.next_power_of_2(E), CHOSEN=chosen,
        CPAD=triton.next_power_of_2(chosen), NORMALISE=normalise, PDL=logits_TE.is_cuda,
        num_warps=1, **pdl(logits_TE),
    )  # fmt: skip
    return weights, ids


@triton.jit
def _sort(ids, order, first, slots, M, E: tl.constexpr, BY_PAIR: tl.constexpr, SIZE: tl.constexpr,
          PDL: tl.constexpr):  # fmt: skip
    """The program of an expert places the pairs that chose it, in their order."""
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    expert = tl.program_id(0)
    before = 0
    for at in range(0, M, SIZE):
        i = at + tl.arange(0, SIZE)
        before += tl.sum((tl.load(ids + i, mask=i < M, other=E) < expert).to(tl.int32), 0)
    count = 0
    for at in range(0, M, SIZE):
        i = at + tl.arange(0, SIZE)
        mine = tl.load(ids + i, mask=i < M, other=E) == expert
        place = before + count + tl.cumsum(mine.to(tl.int32), 0) - 1
        tl.store(order + place, i, mask=mine)
        if BY_PAIR:
            tl.store(slots + place, tl.where(place == before, expert, -1), mask=mine)
        count += tl.sum(mine.to(tl.int32), 0)
    tl.store(first + expert, before)
    if expert == E - 1:
        tl.store(first + E, M)
    if not BY_PAIR:
        tl.store(slots + expert, tl.where(count > 0, expert, -1))


@dataclass(frozen=True, slots=True)
class Groups:
    """order [M]: pairs (token * chosen + choice) sorted by expert; first [E + 1]: where each expert's begin;
    slots: the expert that each row of programs serves, -1 for none. All int32.
    """

    order: torch.Tensor
    first: torch.Tensor
    slots: torch.Tensor


def sort(ids_TC: torch.Tensor, experts: int) -> Groups:
    """Group the chosen experts' pairs; nothing comes back to the host."""
    M, device = ids_TC.numel(), ids_TC.device
    by_pair = experts > M
    order = torch.empty(M, dtype=torch.int32, device=device)
    first = torch.empty(experts + 1, dtype=torch.int32, device=device)
    slots = torch.empty(M if by_pair else experts, dtype=torch.int32, device=device)
    size = min(_SORT, triton.next_power_of_2(M))
    _sort[(experts,)](
        ids_TC, order, first, slots, M, E=experts, BY_PAIR=by_pair, SIZE=size,
        PDL=ids_TC.is_cuda, num_warps=1 if M <= 128 else 4, **pdl(ids_TC),
    )  # fmt: skip
    return Groups(order, first, slots)


@triton.jit
def _gate_up(
    codes, scales, w, w_scales, order, first, slots, out, out_scales,
    K: tl.constexpr, N: tl.constexpr, CHOSEN: tl.constexpr, BT: tl.constexpr, KIND: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """silu(gate) * up of one expert's pairs, in sorted order, in FP8; N: intermediate width. KIND: the type
    that plain torch rounds to on the way.
    """
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    tile = tl.program_id(0)
    expert = tl.load(slots + tl.program_id(1))
    if expert >= 0:
        begin = tl.load(first + expert)
        end = tl.load(first + expert + 1)
        groups = K // 128
        n = tile * 128 + tl.arange(0, 128)
        k = tl.arange(0, 128)
        gate_at = w + expert.to(tl.int64) * (2 * N * K) + n[:, None] * K + k[None, :]
        gate_scale = w_scales + (expert * (2 * N // 128) + tile) * groups
        for at in range(begin, end, BT):
            row = at + tl.arange(0, BT)
            inside = row < end
            token = tl.load(order + row, mask=inside, other=0) // CHOSEN
            x_at = codes + token[None, :].to(tl.int64) * K + k[:, None]
            gate = tl.zeros((128, BT), dtype=tl.float32)
            up = tl.zeros((128, BT), dtype=tl.float32)
            for g in range(groups):
                x_KT = tl.load(x_at + g * 128, mask=inside[None, :], other=0.0)
                scale_T = tl.load(scales + token * groups + g, mask=inside, other=0.0)
                by = tl.load(gate_scale + g)
                gate += tl.dot(tl.load(gate_at + g * 128), x_KT) * (scale_T * by)[None, :]
                by = tl.load(gate_scale + (N // 128) * groups + g)
                up += tl.dot(tl.load(gate_at + N * K + g * 128), x_KT) * (scale_T * by)[None, :]
            gate = gate.to(KIND).to(tl.float32)
            gate = (gate * tl.sigmoid(gate)).to(KIND).to(tl.float32)
            y = (gate * up.to(KIND).to(tl.float32)).to(KIND).to(tl.float32)
            # The tile is one group of 128 channels of what the down projection reads.
            scale = tl.math.div_rn(tl.maximum(tl.max(tl.abs(y), 0), 1e-12), 448.0)
            y = tl.math.div_rn(y, tl.broadcast_to(scale[None, :], (128, BT)))
            where = row[None, :].to(tl.int64) * N + n[:, None]
            tl.store(out + where, y.to(tl.float8e4nv), mask=inside[None, :])
            tl.store(out_scales + row * (N // 128) + tile, scale, mask=inside)


@triton.jit
def _down(
    codes, scales, w, w_scales, order, first, slots, weights, out,
    K: tl.constexpr, N: tl.constexpr, BN: tl.constexpr, BT: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """The down projection of sorted rows times the router's weight, each written at its pair's place."""
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    tile = tl.program_id(0)
    expert = tl.load(slots + tl.program_id(1))
    if expert >= 0:
        begin = tl.load(first + expert)
        end = tl.load(first + expert + 1)
        groups = K // 128
        n = tile * BN + tl.arange(0, BN)
        k = tl.arange(0, 128)
        w_at = w + expert.to(tl.int64) * (N * K) + n[:, None] * K + k[None, :]
        w_scale = w_scales + (expert * (N // 128) + tile * BN // 128) * groups
        for at in range(begin, end, BT):
            row = at + tl.arange(0, BT)
            inside = row < end
            x_at = codes + row[None, :].to(tl.int64) * K + k[:, None]
            acc = tl.zeros((BN, BT), dtype=tl.float32)
            for g in range(groups):
                x_KT = tl.load(x_at + g * 128, mask=inside[None, :], other=0.0)
                scale_T = tl.load(scales + row * groups + g, mask=inside, other=0.0) * tl.load(w_scale + g)
                acc += tl.dot(tl.load(w_at + g * 128), x_KT) * scale_T[None, :]
            pair = tl.load(order + row, mask=inside, other=0)
            weight = tl.load(weights + pair, mask=inside, other=0.0).to(tl.float32)
            where = pair[None, :].to(tl.int64) * N + n[:, None]
            tl.store(out + where, acc * weight[None, :], mask=inside[None, :])


@triton.jit
def _combine(
    pairs, residual, out, N, CHOSEN: tl.constexpr, WIDE: tl.constexpr, RESIDUAL: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    row = tl.program_id(0).to(tl.int64)
    n = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    inside = n < N
    acc = tl.zeros((WIDE,), dtype=tl.float32)
    for i in tl.static_range(CHOSEN):
        acc += tl.load(pairs + (row * CHOSEN + i) * N + n, mask=inside, other=0.0)
    y = acc.to(out.dtype.element_ty)
    if RESIDUAL:
        old = tl.load(residual + row * N + n, mask=inside, other=0.0).to(tl.float32)
        y = (old + y.to(tl.float32)).to(out.dtype.element_ty)
    tl.store(out + row * N + n, y, mask=inside)


@dataclass(frozen=True, slots=True)
class ExpertWeights:
    """gate_up float8_e4m3fn [E, 2 * I, D] and down [E, D, I], float32 scales a 128x128 block. I and D
    divisible by 128.
    """

    gate_up: torch.Tensor
    gate_up_scale: torch.Tensor
    down: torch.Tensor
    down_scale: torch.Tensor


def sparse_mlp(
    x_TD: torch.Tensor,
    weights_TC: torch.Tensor,
    ids_TC: torch.Tensor,
    experts: ExpertWeights,
    residual: torch.Tensor | None = None,
) -> torch.Tensor:
    """[T, D] in x's dtype: every token through its experts (ids int32), weighted, summed over the choices in
    float32, plus the residual.
    """
    T, D = x_TD.shape
    E, _, inner = experts.down.shape
    chosen = ids_TC.shape[1]
    groups = sort(ids_TC, E)
    codes, scales = quantise_rows(x_TD)
    wide = columns(triton.cdiv(2 * T * chosen, E), 64)
    launch = {"PDL": x_TD.is_cuda, "num_warps": 4, **pdl(x_TD)}
    h = torch.empty(T * chosen, inner, dtype=torch.float8_e4m3fn, device=x_TD.device)
    h_scales = torch.empty(T * chosen, inner // BLOCK, dtype=torch.float32, device=x_TD.device)
    where = (groups.order, groups.first, groups.slots)
    _gate_up[(inner // BLOCK, len(groups.slots))](
        codes, scales, experts.gate_up, experts.gate_up_scale, *where, h, h_scales,
        K=D, N=inner, CHOSEN=chosen, BT=wide, KIND=_KINDS[x_TD.dtype], num_stages=4, **launch,
    )  # fmt: skip
    pairs = torch.empty(T * chosen, D, dtype=torch.float32, device=x_TD.device)
    _down[(D // ROWS, len(groups.slots))](
        h, h_scales, experts.down, experts.down_scale, *where, weights_TC, pairs,
        K=inner, N=D, BN=ROWS, BT=wide, num_stages=4, **launch,
    )  # fmt: skip
    out = torch.empty_like(x_TD)
    block = min(1024, triton.next_power_of_2(D))
    _combine[(T, triton.cdiv(D, block))](
        pairs, residual, out, D, CHOSEN=chosen, WIDE=block, RESIDUAL=residual is not None, **launch
    )
    return out
