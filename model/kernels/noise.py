"""Gumbel noise on a GPU, and scores with it: one launch instead of a dozen over rows by vocabulary.

The hash behind it is all integers and its float exact, so these uniform numbers have the bits of
model.sampling. Logarithm and division are those of the GPU, the same for single answers and for batches.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import rounding


@triton.jit
def _mix(x):
    """splitmix64; a shift of a signed number, masked, is a logical one."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


@triton.jit
def _noise(
    scores, temperature, seeds, positions, ids, out, V,
    EACH: tl.constexpr, ROWS: tl.constexpr, WARM: tl.constexpr, ADD: tl.constexpr, GUMBEL: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """EACH: a seed (WARM: and a temperature) a row; ROWS: ids a row. ADD: to the scores of all ids."""
    row = tl.program_id(0).to(tl.int64)
    v = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    seed = tl.load(seeds + (row if EACH else 0))
    key = _mix(_mix(seed * -7046029254386353131 + 1) + tl.load(positions + row) * -7046029254386353131)
    token = v.to(tl.int64)
    if not ADD:
        token = tl.load(ids + (row * V if ROWS else 0) + v, mask=v < V, other=0)
    bits = (_mix(key + (token + 1) * -7046029254386353131) >> 41) & 0x7FFFFF
    made = (bits.to(tl.float32) + 0.5) * 1.1920928955078125e-07
    if GUMBEL:
        made = -tl.log(-tl.log(made))
    if ADD:
        score = tl.load(scores + row * V + v, mask=v < V, other=0.0).to(tl.float32)
        if WARM:
            score = tl.div_rn(score, tl.load(temperature + (row if EACH else 0)))
        made = score + made
    tl.store(out + row * V + v, made, mask=v < V)


def uniform(seed: torch.Tensor, positions_N: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Numbers in (0, 1) [N, V'] in float32. seed: one, or one a row; ids [V'] or [N, V']; all int64."""
    return _made(seed, positions_N, ids, gumbel=False)


def gumbel(seed: torch.Tensor, positions_N: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """-log(-log(uniform))."""
    return _made(seed, positions_N, ids, gumbel=True)


def _made(seed: torch.Tensor, positions_N: torch.Tensor, ids: torch.Tensor, *, gumbel: bool) -> torch.Tensor:
    N, V = positions_N.shape[0], ids.shape[-1]
    out = torch.empty(N, V, dtype=torch.float32, device=positions_N.device)
    _noise[(N, triton.cdiv(V, 1024))](
        None, None, seed.contiguous(), positions_N.contiguous(), ids.contiguous(), out, V,
        EACH=seed.numel() > 1, ROWS=ids.dim() > 1, WARM=False, ADD=False, GUMBEL=gumbel, BLOCK=1024,
        num_warps=4, **rounding(out),
    )  # fmt: skip
    return out


def noisy(
    scores_NV: torch.Tensor, temperature: torch.Tensor | None, seed: torch.Tensor, positions_N: torch.Tensor
) -> torch.Tensor:
    """scores / temperature + gumbel of ids 0..V-1 [N, V] in float32. temperature (float32) and seed: one, or
    one a row, of both alike.
    """
    N, V = scores_NV.shape
    each = seed.numel() > 1
    assert temperature is None or temperature.numel() == (N if each else 1)
    out = torch.empty(N, V, dtype=torch.float32, device=scores_NV.device)
    _noise[(N, triton.cdiv(V, 1024))](
        scores_NV.contiguous(), None if temperature is None else temperature.contiguous(), seed.contiguous(),
        positions_N.contiguous(), None, out, V, EACH=each, ROWS=False, WARM=temperature is not None, ADD=True,
        GUMBEL=True, BLOCK=1024, num_warps=4, **rounding(out),
    )  # fmt: skip
    return out
