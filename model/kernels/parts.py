"""A projection of one token as the sums of its slices of K, which its readers put together.

Together, in their order and rounded, they are what model.kernels.linear would have left.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from model.kernels.slices import slices_of


@dataclass(frozen=True, slots=True)
class Parts:
    """Sums of the slices of a projection's K [slices, features], float32 (gated: those of gate, then of up),
    which together and rounded are its output.
    """

    sums: torch.Tensor
    slices: int

    @classmethod
    def of(cls, weight: torch.Tensor, *, gated: bool = False) -> Parts:
        """Room for the output of this weight [N, K] (gated: [2 N, K])."""
        N = weight.shape[0] // 2 if gated else weight.shape[0]
        slices = slices_of(N, weight.shape[1])
        sums = torch.zeros((1 + gated) * slices, N, dtype=torch.float32, device=weight.device)
        return cls(sums, slices)


@triton.jit
def summed(parts, at, inside, stride, PARTS: tl.constexpr):
    """The sum of `PARTS` partial results at `at`, in their order."""
    total = tl.zeros(at.shape, dtype=tl.float32)
    for i in tl.static_range(PARTS):
        total += tl.load(parts + i * stride + at, mask=inside, other=0.0)
    return total


@triton.jit
def biased(bias, at, mask):
    """The bias at `at`, 0 where there is none."""
    if bias is not None:
        return tl.load(bias + at, mask=mask, other=0.0).to(tl.float32)
    else:
        return tl.zeros(at.shape, dtype=tl.float32)


@triton.jit
def projected(sums, bias, at, mask, kind: tl.constexpr, WIDE: tl.constexpr, PARTS: tl.constexpr):
    """q, k or v of one token at `at`, of a projection whose `PARTS` sums are still to be put together."""
    return (summed(sums, at, mask, WIDE, PARTS) + bias).to(kind)
