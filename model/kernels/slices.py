"""How the K of a weight is cut: the same at every width, so that sums have one order."""

from __future__ import annotations

import triton

TILE = 64
"""Weight rows of a program: the least that Hopper's wgmma takes."""
STEP = 64
WIDE = 32768
"""A weight of more rows than this is as many programs as one can want."""


def step_of(features_in: int) -> int:
    """Features that a program multiplies at a time."""
    return 32 if features_in >= 4096 and features_in % 256 == 0 else STEP


def slices_of(features_out: int, features_in: int) -> int:
    """How many ways to split K: enough programs for one wave of a large GPU. It depends on the weight's
    shape only, so the order of the sum does too.
    """
    if features_out > WIDE:
        return 1
    programs, steps = triton.cdiv(features_out, TILE), features_in // step_of(features_in)
    best = 1
    for split in range(1, steps + 1):
        if steps % split == 0 and programs * split <= 156 and steps // split >= 2:
            best = split
    return best
