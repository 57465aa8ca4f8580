"""The sequential draft head on a GPU: a small launch a position.

What does not recur is computed first: for the whole block the states' and the known tokens' shares of the
recurrent input, and for every token that can be drafted its own share and its output row seen through the
head. A step is then one matrix-vector product and one choice among the candidates (model.drafter is the
reference). A launch makes the choice that the one before it prepared, every program for itself, and prepares
the next one: each program has some entries of the new state, and what these say of every candidate.
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

from model.kernels.launch import pdl, rounding


@triton.jit
def _drawn(refined, noise, temperature, top_p, c, WARM: tl.constexpr, CUT: tl.constexpr):
    """What the choice is the largest of; WARM: sampled with the given noise, CUT: from the smallest set that
    reaches top_p.
    """
    if WARM:
        refined = refined / tl.load(temperature)
        if CUT:
            share = tl.exp(refined - tl.max(refined, 0))
            share = share / tl.sum(share, 0)
            equal = (refined[:, None] == refined[None, :]) & (c[:, None] < c[None, :])
            ahead = (refined[:, None] > refined[None, :]) | equal
            before = tl.sum(tl.where(ahead, share[:, None], 0.0), 0)
            refined = tl.where(before < tl.load(top_p), refined, float("-inf"))
        refined += noise
    return refined


# One kernel for all positions, not one for 0, one for 1, one for multiples of 16 and one for the rest.
@triton.jit(do_not_specialize=["step"])
def _position(
    inputs, known, scores, index, vocab, candidates, views, carry, noise, temperature, top_p, first, begins,
    picked, main, r, said, tokens, second, sure, step,
    B: tl.constexpr, N: tl.constexpr, C: tl.constexpr, W: tl.constexpr, ROWS: tl.constexpr,
    WARM: tl.constexpr, CUT: tl.constexpr, MAIN: tl.constexpr, TREE: tl.constexpr, LAST: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """The best candidate of a chain's position before this one; TREE: the second best too, and what both are
    worth. Then, unless it was the LAST, r_i = silu(inputs_i + token share + U norm(r_(i-1))), ROWS rows a
    program, and their part in what the head says of this position's candidates. The chain of N positions is
    that of the draft (MAIN) from the block's first position on, or a sibling's, which begins at `begins` with
    the candidate `picked` from the draft's state there.
    """
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
    p, chain = tl.program_id(0), tl.program_id(1)
    rows, w, c = p * ROWS + tl.arange(0, ROWS), tl.arange(0, W), tl.arange(0, C)
    PARTS: tl.constexpr = W // ROWS
    START: tl.constexpr = 0 if MAIN else 1
    # All that the chain itself does not make was there before its first launch.
    due = step
    if not MAIN:
        due = step + tl.load(begins + chain)
    i, last = tl.minimum(due, B - 1), tl.maximum(tl.minimum(due, B) - 1, 0)
    plain_C = tl.load(scores + last * C + c).to(tl.float32)
    last_C = tl.load(index + last * C + c)
    noise_C = plain_C
    if WARM:
        noise_C = tl.load(noise + last * C + c)
    if not LAST:
        u = tl.load(carry + rows[:, None] * W + w[None, :])
        share_CR = tl.load(candidates + last_C[:, None] * W + rows[None, :])
        view_CR = tl.load(views + tl.load(index + i * C + c)[:, None] * W + rows[None, :])
        input_R = tl.load(inputs + i * W + rows).to(tl.float32)
        known_R = tl.load(known + i * W + rows).to(tl.float32)
        given = tl.load(first)
    if PDL:
        tl.extra.cuda.gdc_wait()
    goes_on = step > START
    part = ((chain * N + step - 1) * PARTS + tl.arange(0, PARTS))[:, None] * C + c[None, :]
    said_PC = tl.load(said + part, mask=(part >= 0) & goes_on, other=0.0)
    if not LAST:
        here = r + (chain * (N + 1) + step) * W
        source = here
        if not MAIN:
            source = tl.where(goes_on, here, main + due * W)
        r_in = tl.load(source + w, mask=(w < W) & (step > 0), other=0.0).to(tl.float32)
    refined = _drawn(plain_C + tl.sum(said_PC, 0), noise_C, temperature, top_p, c, WARM, CUT)
    best = tl.argmax(refined, 0)
    if (p == 0) & goes_on:
        token = tl.load(vocab + tl.sum(tl.where(c == best, last_C, 0), 0))
        tl.store(tokens + chain * N + step - 1, tl.where(due <= B, token, -1))
        if TREE:
            top = tl.max(refined, 0)
            whole = tl.sum(tl.exp(refined - top), 0)
            rest = tl.where(c == best, float("-inf"), refined)
            tl.store(second + last, tl.argmax(rest, 0))
            tl.store(sure + 2 * last, 1 / whole)
            tl.store(sure + 2 * last + 1, tl.exp(tl.max(rest, 0) - top) / whole)
    if not LAST:
        if not MAIN:
            best = tl.where(goes_on, best, tl.load(picked + chain))
        kind = inputs.dtype.element_ty
        r_in = (r_in * tl.rsqrt(tl.sum(r_in * r_in) / W + 1e-6)).to(kind).to(tl.float32)
        total = tl.sum(u.to(tl.float32) * r_in[None, :], 1) + input_R
        share_R = tl.sum(tl.where((c == best)[:, None], share_CR.to(tl.float32), 0.0), 0)
        if MAIN:
            share_R = tl.where(i <= given, known_R, share_R)
        total += share_R
        r_R = (total * tl.sigmoid(total)).to(kind)
        tl.store(here + W + rows, r_R)
        said_C = tl.sum(view_CR.to(tl.float32) * r_R.to(tl.float32)[None, :], 1)
        tl.store(said + ((chain * N + step) * PARTS + p) * C + c, said_C)


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
    chain = Chain(
        torch.empty(B, dtype=torch.int64, device=device),
        torch.empty(B + 1, W, dtype=dtype, device=device),
        torch.empty(B, dtype=torch.int32, device=device),
        torch.empty(B, 2, dtype=torch.float32, device=device),
    )
    _run(block, chain, chain.r, chain.tokens_B[None], None, tree=siblings)
    return chain


def siblings_in_sequence(
    block: Block, chain: Chain, begins_S: torch.Tensor, picked_S: torch.Tensor, tokens_SN: torch.Tensor
) -> None:
    """Siblings of the draft: what follows the candidate picked[s], whose token is tokens[s, 0], at block
    position begins[s] (int32 both), into the rest of `tokens`; -1 beyond the block.
    """
    S, own = tokens_SN.shape
    r = torch.empty(S, own + 1, chain.r.shape[1], dtype=chain.r.dtype, device=chain.r.device)
    _run(block, chain, r, tokens_SN, (begins_S, picked_S), tree=False)


def _run(
    block: Block,
    chain: Chain,
    r: torch.Tensor,
    tokens_SN: torch.Tensor,
    places: tuple[torch.Tensor, torch.Tensor] | None,
    *,
    tree: bool,
) -> None:
    """S chains of N positions. places: of siblings, where they begin and with which candidate."""
    (B, C), (S, N), W = block.index_BC.shape, tokens_SN.shape, r.shape[-1]
    begins, picked = places if places is not None else (block.first, block.first)
    main, rows = places is None, min(32, W)
    start = 0 if main else 1
    said = torch.empty(S, N, W // rows, C, dtype=torch.float32, device=r.device)
    for step in range(start, N + 1):
        last = step == N
        # A chain begins when all before it has ended: later launches read what that left before they wait.
        # With up to 128 registers a thread two launches have room beside each other.
        early = pdl(r) if step > start else rounding(r)
        _position[(1 if last else W // rows, S)](
            block.inputs_BW, block.known_BW, block.scores_BC, block.index_BC, block.vocab,
            block.candidates_VW, block.views_VW, block.carry_WW, block.noise_BC, block.temperature,
            block.top_p, block.first, begins, picked, chain.r, r, said, tokens_SN, chain.second_B,
            chain.sure_B2, step, B=B, N=N, C=C, W=W, ROWS=rows, WARM=block.noise_BC is not None,
            CUT=block.top_p is not None, MAIN=main, TREE=tree, LAST=last, PDL=r.is_cuda,
            num_warps=8, maxnreg=128, **early,
        )  # fmt: skip
