"""RMSNorm, of whole rows and of heads, and rotation, with the roundings of plain torch."""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl


@triton.jit
def row_normed(x_D, gain_D, eps, D: tl.constexpr):
    """RMSNorm of one row of D, padded with zeros."""
    kind = x_D.dtype
    x_D = x_D.to(tl.float32)
    scale = tl.rsqrt(tl.sum(x_D * x_D) / D + eps)
    return ((x_D * scale).to(kind).to(tl.float32) * gain_D.to(tl.float32)).to(kind)


@triton.jit
def _norm(x, weight, out, eps, D: tl.constexpr, PAD: tl.constexpr, PDL: tl.constexpr):
    d = tl.arange(0, PAD)
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
    gain_D = tl.load(weight + d, mask=d < D, other=0.0)
    if PDL:
        tl.extra.cuda.gdc_wait()
    row = tl.program_id(0)
    x_D = tl.load(x + row * D + d, mask=d < D, other=0.0)
    tl.store(out + row * D + d, row_normed(x_D, gain_D, eps, D), mask=d < D)


def rms_norm(x_TD: torch.Tensor, weight: torch.Tensor, eps: float, out: torch.Tensor) -> None:
    """model.base.RMSNorm of contiguous rows."""
    T, D = x_TD.shape
    _norm[(T,)](
        x_TD, weight, out, eps, D=D, PAD=triton.next_power_of_2(D), PDL=x_TD.is_cuda, num_warps=4, **pdl(x_TD)
    )


@triton.jit
def turned(a, b, c, s):
    """Both halves of heads, (a, b), turned by the angles of cosine c and sine s; all of one type."""
    kind = a.dtype
    a, b, c, s = a.to(tl.float32), b.to(tl.float32), c.to(tl.float32), s.to(tl.float32)
    # Each product is rounded before the sum, as in plain torch.
    x = (a * c).to(kind).to(tl.float32) + (-b * s).to(kind).to(tl.float32)
    y = (b * c).to(kind).to(tl.float32) + (a * s).to(kind).to(tl.float32)
    return x.to(kind), y.to(kind)


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
def normed(a, b, weight, eps, K: tl.constexpr):
    """Both halves of one head after its RMSNorm, whose weights [K] lie at `weight`."""
    kind = a.dtype
    half = tl.arange(0, K // 2)
    a, b = a.to(tl.float32), b.to(tl.float32)
    scale = tl.rsqrt((tl.sum(a * a) + tl.sum(b * b)) / K + eps)
    w1 = tl.load(weight + half).to(tl.float32)
    w2 = tl.load(weight + K // 2 + half).to(tl.float32)
    a = ((a * scale).to(kind).to(tl.float32) * w1).to(kind)
    b = ((b * scale).to(kind).to(tl.float32) * w2).to(kind)
    return a, b


@triton.jit
def _norm_heads(
    qkv, q_norm, k_norm, eps, H: tl.constexpr, G: tl.constexpr, K: tl.constexpr, PDL: tl.constexpr
):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    t, head = tl.program_id(0), tl.program_id(1)
    half = tl.arange(0, K // 2)
    source = qkv + (t * (H + 2 * G) + head) * K
    weight = q_norm if head < H else k_norm
    a, b = normed(tl.load(source + half), tl.load(source + K // 2 + half), weight, eps, K)
    tl.store(source + half, a)
    tl.store(source + K // 2 + half, b)


def norm_heads(
    qkv_TC: torch.Tensor, heads: int, kv_heads: int, norms: tuple[torch.Tensor, torch.Tensor, float]
) -> None:
    """Normalise every head of q and k in place (Qwen3); each row is q, k, v of all heads."""
    T, C = qkv_TC.shape
    _norm_heads[(T, heads + kv_heads)](
        qkv_TC, *norms, H=heads, G=kv_heads, K=C // (heads + 2 * kv_heads), PDL=qkv_TC.is_cuda,
        num_warps=1, **pdl(qkv_TC),
    )  # fmt: skip
