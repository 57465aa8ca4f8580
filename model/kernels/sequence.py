"""The sequential draft head on a GPU: two small launches a position.

What does not recur is computed for the whole block first, by three matmuls: the states' and the tokens'
shares of the recurrent input for every candidate, and every candidate's output row seen through the head. A
step is then one matrix-vector product and one choice among the candidates (model.drafter is the reference).
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl


# One kernel for all positions, not one for 0, one for 1, one for multiples of 16 and one for the rest.
@triton.jit(do_not_specialize=["i"])
def _carry(
    inputs, known, candidates, picked, offset, r_in, r_out, carry, i,
    C: tl.constexpr, W: tl.constexpr, ROWS: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """r_i = silu(inputs_i + token share + U norm(r_(i-1))), ROWS rows a program."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    w = tl.arange(0, W)
    u = tl.load(carry + rows[:, None] * W + w[None, :]).to(tl.float32)
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    kind = inputs.dtype.element_ty
    r = tl.load(r_in + w).to(tl.float32)
    r = (r * tl.rsqrt(tl.sum(r * r) / W + 1e-6)).to(kind).to(tl.float32)
    total = tl.sum(u * r[None, :], 1) + tl.load(inputs + i * W + rows).to(tl.float32)
    fixed = i <= tl.load(offset)
    last = tl.where(i > 0, i - 1, 0)
    choice = tl.load(picked + last)
    token = tl.where(fixed, known + i * W, candidates + (last * C + choice) * W)
    total += tl.load(token + rows).to(tl.float32)
    tl.store(r_out + rows, (total * tl.sigmoid(total)).to(kind))


@triton.jit(do_not_specialize=["i"])
def _choose(
    scores, views, ids, r, picked, tokens, noise, temperature, top_p, i,
    C: tl.constexpr, W: tl.constexpr, WARM: tl.constexpr, CUT: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """The best candidate of position i after the head has spoken; WARM: sampled with the given noise, CUT:
    from the smallest set that reaches top_p.
    """
    c, w = tl.arange(0, C), tl.arange(0, W)
    view = tl.load(views + (i * C + c)[:, None] * W + w[None, :])
    plain = tl.load(scores + i * C + c).to(tl.float32)
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    refined = plain + tl.sum(view.to(tl.float32) * tl.load(r + w).to(tl.float32)[None, :], 1)
    if WARM:
        refined = refined / tl.load(temperature)
        if CUT:
            share = tl.exp(refined - tl.max(refined, 0))
            share = share / tl.sum(share, 0)
            equal = (refined[:, None] == refined[None, :]) & (c[:, None] < c[None, :])
            ahead = (refined[:, None] > refined[None, :]) | equal
            before = tl.sum(tl.where(ahead, share[:, None], 0.0), 0)
            refined = tl.where(before < tl.load(top_p), refined, float("-inf"))
        refined += tl.load(noise + i * C + c)
    best = tl.argmax(refined, 0)
    tl.store(picked + i, best)
    tl.store(tokens + i, tl.load(ids + i * C + best))


def draft_in_sequence(
    inputs_BW: torch.Tensor,
    known_BW: torch.Tensor,
    candidates_BCW: torch.Tensor,
    views_BCW: torch.Tensor,
    ids_BC: torch.Tensor,
    scores_BC: torch.Tensor,
    offset: torch.Tensor,
    carry_WW: torch.Tensor,
    noise_BC: torch.Tensor | None = None,
    temperature: torch.Tensor | None = None,
    top_p: torch.Tensor | None = None,
) -> torch.Tensor:
    """The choice [B] at every position of a block of B states; those before `offset` mean nothing.

    inputs: share of the states; known: share of the known token at each position (used up to `offset`, on the
    device); candidates: share of each candidate as the token at the next position; views: each
    candidate's output row times the head's output matrix; scores: plain logits. W and C are powers of two.
    noise: Gumbel noise of each candidate, for a sampled choice at `temperature` (and with `top_p` below 1),
    one float32 each on the device.
    """
    B, C = ids_BC.shape
    W = inputs_BW.shape[1]
    device = inputs_BW.device
    picked = torch.zeros(B, dtype=torch.int32, device=device)
    tokens = torch.zeros(B, dtype=torch.int64, device=device)
    r = torch.zeros(B + 1, W, dtype=inputs_BW.dtype, device=device)
    rows = min(32, W)
    for i in range(B):
        _carry[(W // rows,)](
            inputs_BW, known_BW, candidates_BCW, picked, offset, r[i], r[i + 1], carry_WW, i,
            C=C, W=W, ROWS=rows, PDL=r.is_cuda, num_warps=8, **pdl(r),
        )  # fmt: skip
        _choose[(1,)](
            scores_BC, views_BCW, ids_BC, r[i + 1], picked, tokens, noise_BC, temperature, top_p, i,
            C=C, W=W, WARM=noise_BC is not None, CUT=top_p is not None,
            PDL=r.is_cuda, num_warps=8, **pdl(r),
        )  # fmt: skip
    return tokens
