"""Matrix products with block-scaled FP8 weights: both sides float8_e4m3fn, scales after each 128 of K.

The input is rounded first, one scale for each token and 128 channels (model.fp8.through_fp8). A tile's
partial product over 128 channels is exact to the tensor core's accumulator and is added in float32 times both
scales, the scheme of DeepSeek-V3 (arXiv 2412.19437, section 3.3). Weights are the rows of a tile and tokens
its columns, so few tokens still fill the matrix unit. Tiles and the order of the sums depend on the weight's
shape only: a token's output does not depend on how many others there are. model.fp8.linear is the reference.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl

BLOCK = 128
ROWS = 64
"""Weight rows of a tile: the least that Hopper's matrix unit takes, so that there are many programs."""
_GROUPS = 8
# Programs of one wave on a large GPU; K is split until there are about as many.
_WAVE = 264


@triton.jit
def _quantise(x, codes, scales, K: tl.constexpr, GROUPS: tl.constexpr, PDL: tl.constexpr):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    row = tl.program_id(0)
    group = tl.program_id(1) * GROUPS + tl.arange(0, GROUPS)
    inside = group < K // 128
    where = row * K + group[:, None] * 128 + tl.arange(0, 128)[None, :]
    x_GC = tl.load(x + where, mask=inside[:, None], other=0.0).to(tl.float32)
    scale = tl.math.div_rn(tl.maximum(tl.max(tl.abs(x_GC), 1), 1e-12), 448.0)
    y_GC = tl.math.div_rn(x_GC, tl.broadcast_to(scale[:, None], (GROUPS, 128)))
    tl.store(codes + where, y_GC.to(tl.float8e4nv), mask=inside[:, None])
    tl.store(scales + row * (K // 128) + group, scale, mask=inside)


def quantise_rows(x_TK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Contiguous x -> (float8_e4m3fn [T, K], float32 scales [T, K / 128]). K divisible by 128."""
    T, K = x_TK.shape
    codes = torch.empty(T, K, dtype=torch.float8_e4m3fn, device=x_TK.device)
    scales = torch.empty(T, K // BLOCK, dtype=torch.float32, device=x_TK.device)
    _quantise[(T, triton.cdiv(K // BLOCK, _GROUPS))](
        x_TK, codes, scales, K=K, GROUPS=_GROUPS, PDL=x_TK.is_cuda, num_warps=4, **pdl(x_TK)
    )
    return codes, scales


@triton.jit
def _linear(
    codes, scales, w, w_scales, bias, residual, out, partial, T, N,
    K: tl.constexpr, BN: tl.constexpr, BT: tl.constexpr, SPLIT: tl.constexpr,
    BIAS: tl.constexpr, RESIDUAL: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    tile_n, tile_t, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n = tile_n * BN + tl.arange(0, BN)
    t = tile_t * BT + tl.arange(0, BT)
    k = tl.arange(0, 128)
    in_t = t < T
    groups = K // 128
    w_at = w + n[:, None].to(tl.int64) * K + k[None, :]
    x_at = codes + t[None, :].to(tl.int64) * K + k[:, None]
    w_scale_at = w_scales + (tile_n * BN) // 128 * groups
    acc = tl.zeros((BN, BT), dtype=tl.float32)
    for g in range(part * (groups // SPLIT), (part + 1) * (groups // SPLIT)):
        w_NK = tl.load(w_at + g * 128)
        x_KT = tl.load(x_at + g * 128, mask=in_t[None, :], other=0.0)
        scale_T = tl.load(scales + t * groups + g, mask=in_t, other=0.0) * tl.load(w_scale_at + g)
        acc += tl.dot(w_NK, x_KT) * scale_T[None, :]
    where = t[None, :].to(tl.int64) * N + n[:, None]
    if SPLIT > 1:
        tl.store(partial + part.to(tl.int64) * T * N + where, acc, mask=in_t[None, :])
    else:
        if BIAS:
            acc += tl.load(bias + n).to(tl.float32)[:, None]
        y = acc.to(out.dtype.element_ty)
        if RESIDUAL:
            old = tl.load(residual + where, mask=in_t[None, :], other=0.0).to(tl.float32)
            y = (old + y.to(tl.float32)).to(out.dtype.element_ty)
        tl.store(out + where, y, mask=in_t[None, :])


@triton.jit
def _reduce(
    partial, bias, residual, out, size, N,
    SPLIT: tl.constexpr, BIAS: tl.constexpr, RESIDUAL: tl.constexpr, WIDE: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    where = tl.program_id(0).to(tl.int64) * WIDE + tl.arange(0, WIDE)
    inside = where < size
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    acc = tl.zeros((WIDE,), dtype=tl.float32)
    for i in tl.static_range(SPLIT):
        acc += tl.load(partial + i * size + where, mask=inside, other=0.0)
    if BIAS:
        acc += tl.load(bias + where % N, mask=inside, other=0.0).to(tl.float32)
    y = acc.to(out.dtype.element_ty)
    if RESIDUAL:
        old = tl.load(residual + where, mask=inside, other=0.0).to(tl.float32)
        y = (old + y.to(tl.float32)).to(out.dtype.element_ty)
    tl.store(out + where, y, mask=inside)


def split_of(features_in: int, features_out: int) -> int:
    """Into how many parts K is split: decided by the weight's shape alone."""
    groups, tiles, best = features_in // BLOCK, features_out // ROWS, 1
    for split in range(1, groups // 2 + 1):
        if groups % split == 0 and tiles * split <= _WAVE:
            best = split
    return best


def columns(tokens: int, most: int = 128) -> int:
    """Token columns of a tile."""
    return min(most, max(16, int(triton.next_power_of_2(tokens))))


def fp8_linear(
    x_TK: torch.Tensor,
    weight: torch.Tensor,
    scale: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    residual: torch.Tensor | None = None,
) -> torch.Tensor:
    """[T, N] in x's dtype of contiguous x [T, K], weight float8_e4m3fn [N, K] and its float32 scales
    [N / 128, K / 128]. N and K divisible by 128.
    """
    T, K = x_TK.shape
    N = weight.shape[0]
    codes, scales = quantise_rows(x_TK)
    y = torch.empty(T, N, dtype=x_TK.dtype, device=x_TK.device)
    split, wide = split_of(K, N), columns(T)
    partial = torch.empty(split, T, N, dtype=torch.float32, device=y.device) if split > 1 else y
    flags = {"BIAS": bias is not None, "RESIDUAL": residual is not None, "PDL": x_TK.is_cuda}
    _linear[(N // ROWS, triton.cdiv(T, wide), split)](
        codes, scales, weight, scale, bias, residual, y, partial, T, N,
        K=K, BN=ROWS, BT=wide, SPLIT=split, **flags, num_warps=4, num_stages=4, **pdl(x_TK),
    )  # fmt: skip
    if split > 1:
        _reduce[(triton.cdiv(T * N, 512),)](
            partial, bias, residual, y, T * N, N, SPLIT=split, WIDE=512, **flags, num_warps=4, **pdl(x_TK)
        )
    return y
