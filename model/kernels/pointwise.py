"""RMSNorm, and rotation with the write into the cache: each one launch, with the roundings of plain torch."""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl


@triton.jit
def _norm(x, weight, out, eps, D: tl.constexpr, PAD: tl.constexpr, PDL: tl.constexpr):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    row = tl.program_id(0)
    d = tl.arange(0, PAD)
    x_D = tl.load(x + row * D + d, mask=d < D, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(x_D * x_D) / D + eps)
    y = (x_D * scale).to(out.dtype.element_ty)
    w = tl.load(weight + d, mask=d < D, other=0.0)
    y = (y.to(tl.float32) * w.to(tl.float32)).to(out.dtype.element_ty)
    tl.store(out + row * D + d, y, mask=d < D)


def rms_norm(x_TD: torch.Tensor, weight: torch.Tensor, eps: float, out: torch.Tensor) -> None:
    """model.base.RMSNorm of contiguous rows."""
    T, D = x_TD.shape
    _norm[(T,)](
        x_TD, weight, out, eps, D=D, PAD=triton.next_power_of_2(D), PDL=x_TD.is_cuda, num_warps=4, **pdl(x_TD)
    )


@triton.jit
def _rotate_write(
    qkv,
    cos,
    sin,
    position,
    length,
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
    slot = tl.load(length) + t
    first = tl.load(source + half)
    second = tl.load(source + K // 2 + half)
    if head >= H + G:
        target = values + ((head - H - G) * slots + slot).to(tl.int64) * K
        tl.store(target + half, first)
        tl.store(target + K // 2 + half, second)
    else:
        a, b = first.to(tl.float32), second.to(tl.float32)
        kind = first.dtype
        if NORM:
            scale = tl.rsqrt((tl.sum(a * a) + tl.sum(b * b)) / K + eps)
            weight = q_norm if head < H else k_norm
            w1 = tl.load(weight + half).to(tl.float32)
            w2 = tl.load(weight + K // 2 + half).to(tl.float32)
            a = ((a * scale).to(kind).to(tl.float32) * w1).to(kind).to(tl.float32)
            b = ((b * scale).to(kind).to(tl.float32) * w2).to(kind).to(tl.float32)
        at = tl.load(position + t) * K
        c = tl.load(cos + at + half).to(tl.float32)
        s = tl.load(sin + at + half).to(tl.float32)
        # Each product is rounded before the sum, as in plain torch.
        x = (a * c).to(kind).to(tl.float32) + (-b * s).to(kind).to(tl.float32)
        y = (b * c).to(kind).to(tl.float32) + (a * s).to(kind).to(tl.float32)
        if head < H:
            target = q_out + (t * H + head).to(tl.int64) * K
        else:
            target = keys + ((head - H) * slots + slot).to(tl.int64) * K
        tl.store(target + half, x.to(kind))
        tl.store(target + K // 2 + half, y.to(kind))


def rotate_write(
    qkv_TC: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    position: torch.Tensor,
    length: torch.Tensor,
    q_THK: torch.Tensor,
    keys_GSK: torch.Tensor,
    values_GSK: torch.Tensor,
    norms: tuple[torch.Tensor, torch.Tensor, float] | None,
) -> None:
    """Split fused q, k, v; normalise (Qwen3) and rotate q and k; q to its buffer, k and v into their slots.

    cos, sin: tables [positions, K] in the compute dtype. position, length: int32 on the device.
    """
    T, H, K = q_THK.shape
    G, slots, _ = keys_GSK.shape
    q_norm, k_norm, eps = norms if norms is not None else (cos, cos, 0.0)
    _rotate_write[(T, H + 2 * G)](
        qkv_TC, cos, sin, position, length, q_THK, keys_GSK, values_GSK, q_norm, k_norm, eps, slots,
        H=H, G=G, K=K, NORM=norms is not None, PDL=q_THK.is_cuda, num_warps=1, **pdl(q_THK),
    )  # fmt: skip
