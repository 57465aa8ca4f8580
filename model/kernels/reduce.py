"""What becomes of a matmul's sums: bias, silu(gate) * up, residual, norm, rounded as plain torch rounds."""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import triton
import triton.language as tl

from model.kernels.parts import summed
from model.kernels.pointwise import row_normed


@triton.jit
def gated(gate, up, kind: tl.constexpr):
    """silu(gate) * up of two sums in float32."""
    gate = gate.to(kind).to(tl.float32)
    gate = (gate * tl.sigmoid(gate)).to(kind).to(tl.float32)
    return (gate * up.to(kind).to(tl.float32)).to(kind)


@triton.jit
def finished(y, gate_up, residual, where, inside, GATED: tl.constexpr, RESIDUAL: tl.constexpr):
    """Epilogue of a sum y in float32, rounded as plain torch rounds (residual's type is the output's)."""
    kind = residual.dtype.element_ty
    out = y.to(kind)
    if GATED:
        out = gated(y, gate_up, kind)
    if RESIDUAL:
        old = tl.load(residual + where, mask=inside, other=0.0).to(tl.float32)
        out = (old + out.to(tl.float32)).to(kind)
    return out


@triton.jit
def reduce(
    partial,
    bias,
    residual,
    out,
    T,
    N,
    SPLIT: tl.constexpr,
    BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr,
    GATED: tl.constexpr,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    where = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    size = T * N
    inside = where < size
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    acc = summed(partial, where, inside, size, SPLIT)
    up = acc
    if GATED:
        up = summed(partial + SPLIT * size, where, inside, size, SPLIT)
    if BIAS:
        acc += tl.load(bias + where % N, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + where, finished(acc, up, residual, where, inside, GATED, RESIDUAL), mask=inside)


@triton.jit
def reduce_rows(
    partial, residual, out, norm, eps, normed, T, N: tl.constexpr,
    SPLIT: tl.constexpr, PAD: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """A row of the residual stream behind a projection, and its norm."""
    d = tl.arange(0, PAD)
    inside = d < N
    where = tl.program_id(0) * N + d
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
    gain = tl.load(norm + d, mask=inside, other=0.0)
    if PDL:
        tl.extra.cuda.gdc_wait()
    acc = summed(partial, where, inside, T * N, SPLIT)
    x_D = finished(acc, acc, residual, where, inside, False, True)
    tl.store(out + where, x_D, mask=inside)
    tl.store(normed + where, row_normed(x_D, gain, eps, N), mask=inside)
