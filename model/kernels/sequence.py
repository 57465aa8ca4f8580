"""The sequential draft head on a GPU: two small launches a position.

What does not recur is computed for the whole block first, by three matmuls: the states' and the tokens'
shares of the recurrent input for every candidate, and every candidate's output row seen through the head. A
step is then one matrix-vector product and one choice among the candidates (model.drafter is the reference).
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

# ruff: noqa: N815 - shape suffixes carry capitals, in fields as in variables
from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl


# One kernel for all positions, not one for 0, one for 1, one for multiples of 16 and one for the rest.
@triton.jit(do_not_specialize=["step"])
def _carry(
    inputs, known, candidates, index, picked, offset, begins, main, r, carry, step,
    B: tl.constexpr, N: tl.constexpr, C: tl.constexpr, W: tl.constexpr, ROWS: tl.constexpr,
    MAIN: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """r_i = silu(inputs_i + token share + U norm(r_(i-1))), ROWS rows a program, for one chain of N
    positions: that of the draft (MAIN) from the block's first position on, or a sibling's from `begins` on,
    whose first state is the draft's there.
    """
    chain = tl.program_id(1)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    w = tl.arange(0, W)
    u = tl.load(carry + rows[:, None] * W + w[None, :]).to(tl.float32)
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    due = step
    if not MAIN:
        due = step + tl.load(begins + chain).to(tl.int32)
    i = tl.minimum(due, B - 1)
    kind = inputs.dtype.element_ty
    here = r + (chain * (N + 1) + step) * W
    source = here
    if not MAIN:
        source = tl.where(step == 1, main + due * W, here)
    r_in = tl.load(source + w, mask=w < (W if step > 0 else 0), other=0.0).to(tl.float32)
    r_in = (r_in * tl.rsqrt(tl.sum(r_in * r_in) / W + 1e-6)).to(kind).to(tl.float32)
    total = tl.sum(u * r_in[None, :], 1) + tl.load(inputs + i * W + rows).to(tl.float32)
    choice = tl.load(picked + chain * N + step - 1, mask=step > 0, other=0)
    token = candidates + tl.load(index + tl.maximum(i - 1, 0) * C + choice) * W
    if MAIN:
        token = tl.where(i <= tl.load(offset), known + i * W, token)
    total += tl.load(token + rows).to(tl.float32)
    tl.store(here + W + rows, (total * tl.sigmoid(total)).to(kind))


@triton.jit(do_not_specialize=["step"])
def _choose(
    scores, views, index, vocab, r, picked, tokens, begins, second, sure, noise, temperature, top_p, step,
    B: tl.constexpr, N: tl.constexpr, C: tl.constexpr, W: tl.constexpr, WARM: tl.constexpr,
    CUT: tl.constexpr, MAIN: tl.constexpr, TREE: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """The best candidate of a chain's next position after the head has spoken; WARM: sampled with the given
    noise, CUT: from the smallest set that reaches top_p. TREE: the second best too, and what both are worth.
    """
    chain = tl.program_id(0)
    due = step
    if not MAIN:
        due = step + tl.load(begins + chain).to(tl.int32)
    i = tl.minimum(due, B - 1)
    c, w = tl.arange(0, C), tl.arange(0, W)
    index_C = tl.load(index + i * C + c)
    view = tl.load(views + index_C[:, None] * W + w[None, :])
    plain = tl.load(scores + i * C + c).to(tl.float32)
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    state = tl.load(r + (chain * (N + 1) + step + 1) * W + w).to(tl.float32)
    refined = plain + tl.sum(view.to(tl.float32) * state[None, :], 1)
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
    tl.store(picked + chain * N + step, best)
    token = tl.load(vocab + tl.load(index + i * C + best))
    tl.store(tokens + chain * N + step, tl.where(due < B, token, -1))
    if TREE:
        top = tl.max(refined, 0)
        whole = tl.sum(tl.exp(refined - top), 0)
        rest = tl.where(c == best, float("-inf"), refined)
        tl.store(second + i, tl.argmax(rest, 0))
        tl.store(sure + 2 * i, 1 / whole)
        tl.store(sure + 2 * i + 1, tl.exp(tl.max(rest, 0) - top) / whole)


@dataclass(frozen=True, slots=True)
class Block:
    """What does not recur, of a block of B states. inputs: share of the states; known: share of the known
    token at each position; index: each position's candidates, as rows of the draft vocabulary; scores: their
    plain logits; first [1] int32: the last position whose token is known. Of the draft vocabulary, row by
    row: vocab, the ids; candidates, each one's share as the token at the next position; views, its output row
    times the head's output matrix. W and C are powers of two. noise: Gumbel noise of each candidate, for a
    sampled choice at `temperature` (and with `top_p` below 1), one float32 each on the device.
    """

    inputs_BW: torch.Tensor
    known_BW: torch.Tensor
    index_BC: torch.Tensor
    scores_BC: torch.Tensor
    first: torch.Tensor
    vocab: torch.Tensor
    candidates_VW: torch.Tensor
    views_VW: torch.Tensor
    carry_WW: torch.Tensor
    noise_BC: torch.Tensor | None = None
    temperature: torch.Tensor | None = None
    top_p: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """tokens [B]: the choice at every position. r [B + 1, W]: the recurrent states, that behind position i at
    i + 1. With siblings: the second best candidate's index [B], and the probabilities of both [B, 2].
    """

    tokens_B: torch.Tensor
    r: torch.Tensor
    second_B: torch.Tensor
    sure_B2: torch.Tensor


def draft_in_sequence(block: Block, *, siblings: bool = False) -> Chain:
    """The choices at all positions; those before `block.first` mean nothing, where the known tokens serve."""
    B, W = block.inputs_BW.shape
    device, dtype = block.inputs_BW.device, block.inputs_BW.dtype
    picked = torch.empty(1, B, dtype=torch.int32, device=device)
    chain = Chain(
        torch.empty(B, dtype=torch.int64, device=device),
        torch.empty(B + 1, W, dtype=dtype, device=device),
        torch.empty(B, dtype=torch.int32, device=device),
        torch.empty(B, 2, dtype=torch.float32, device=device),
    )
    for step in range(B):
        _step(block, step, chain.r, picked, chain.tokens_B[None], None, chain, tree=siblings)
    return chain


def siblings_in_sequence(
    block: Block, chain: Chain, begins_S: torch.Tensor, picked_SN: torch.Tensor, tokens_SN: torch.Tensor
) -> None:
    """Siblings of the draft: what follows the candidate picked[s, 0], whose token is tokens[s, 0], at block
    position begins[s] (int32), into the rest of `tokens`; -1 beyond the block.
    """
    S, own = tokens_SN.shape
    r = torch.empty(S, own + 1, chain.r.shape[1], dtype=chain.r.dtype, device=chain.r.device)
    for step in range(1, own):
        _step(block, step, r, picked_SN, tokens_SN, begins_S, chain, tree=False)


def _step(
    block: Block,
    step: int,
    r: torch.Tensor,
    picked_SN: torch.Tensor,
    tokens_SN: torch.Tensor,
    begins_S: torch.Tensor | None,
    chain: Chain,
    *,
    tree: bool,
) -> None:
    """One position of S chains of N. begins: of siblings, the block position of the choice they replace."""
    B, C = block.index_BC.shape
    S, N = picked_SN.shape
    W, main = block.inputs_BW.shape[1], begins_S is None
    begins, rows = block.first if begins_S is None else begins_S, min(32, W)
    # A chain begins when all before it has ended: its later launches read what that left before they wait.
    early = pdl(r) if step > (0 if main else 1) else {}
    _carry[(W // rows, S)](
        block.inputs_BW, block.known_BW, block.candidates_VW, block.index_BC, picked_SN, block.first, begins,
        chain.r, r, block.carry_WW, step, B=B, N=N, C=C, W=W, ROWS=rows, MAIN=main, PDL=r.is_cuda,
        num_warps=8, **early,
    )  # fmt: skip
    _choose[(S,)](
        block.scores_BC, block.views_VW, block.index_BC, block.vocab, r, picked_SN, tokens_SN, begins,
        chain.second_B, chain.sure_B2, block.noise_BC, block.temperature, block.top_p, step,
        B=B, N=N, C=C, W=W, WARM=block.noise_BC is not None, CUT=block.top_p is not None,
        MAIN=main, TREE=tree, PDL=r.is_cuda, num_warps=8, **pdl(r),
    )  # fmt: skip
