"""The uniform numbers behind Gumbel noise on a GPU: one launch instead of a dozen over rows by vocabulary.

The hash is all integers and the float exact, so the bits are those of model.sampling.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _mix(x):
    """splitmix64; a shift of a signed number, masked, is a logical one."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


@triton.jit
def _uniform(seeds, positions, ids, out, V, EACH: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """EACH: a seed a row; ROWS: ids a row."""
    row = tl.program_id(0).to(tl.int64)
    v = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    seed = tl.load(seeds + (row if EACH else 0))
    key = _mix(_mix(seed * -7046029254386353131 + 1) + tl.load(positions + row) * -7046029254386353131)
    token = tl.load(ids + (row * V if ROWS else 0) + v, mask=v < V, other=0)
    bits = (_mix(key + (token + 1) * -7046029254386353131) >> 41) & 0x7FFFFF
    uniform = (bits.to(tl.float32) + 0.5) * 1.1920928955078125e-07
    tl.store(out + row * V + v, uniform, mask=v < V)


def uniform(seed: torch.Tensor, positions_N: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Numbers in (0, 1) [N, V'] in float32. seed: one, or one a row; ids [V'] or [N, V']; all int64."""
    N, V = positions_N.shape[0], ids.shape[-1]
    out = torch.empty(N, V, dtype=torch.float32, device=positions_N.device)
    _uniform[(N, triton.cdiv(V, 1024))](
        seed.contiguous(), positions_N.contiguous(), ids.contiguous(), out, V,
        EACH=seed.numel() > 1, ROWS=ids.dim() > 1, BLOCK=1024, num_warps=4,
    )  # fmt: skip
    return out
