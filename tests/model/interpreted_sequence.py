"""Run by test_kernels.py under TRITON_INTERPRET=1: python interpreted_sequence.py FOLDER.

The chain of the sequential head and the candidates it chooses from, against plain torch.
"""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional as F

from model.drafter import _norm
from model.kernels.candidates import RUN, best_of
from model.kernels.sequence import Block, draft_in_sequence, siblings_in_sequence
from model.sampling import keep_top_p

C, W, VOCAB, OWN = 8, 64, 40, 4


def check_candidates() -> None:
    """The best of a row in its order, of equal ones the first, over one run and several; -inf among them."""
    for V, count, dtype in ((300, 16, torch.float32), (5, 5, torch.bfloat16), (RUN + 9, 64, torch.bfloat16)):
        scores = torch.randn(3, V).to(dtype)
        scores[0] = scores[0].round()
        scores[1, : V // 2] = float("-inf")
        scores[2] = -1.0
        best, index = best_of(scores, count)
        places = scores.sort(dim=-1, descending=True, stable=True).indices[:, :count].sort(-1).values
        assert torch.equal(index, places)
        assert torch.equal(best, scores.gather(-1, places))


def make_block(B: int, first: int) -> Block:
    return Block(
        torch.randn(B, W), torch.randn(B, W), torch.stack([torch.randperm(VOCAB)[:C] for _ in range(B)]),
        torch.randn(B, C), torch.tensor([first], dtype=torch.int32), torch.randperm(VOCAB) + 100,
        torch.randn(VOCAB, W), torch.randn(VOCAB, W) * 0.2, torch.randn(W, W) * 0.1,
    )  # fmt: skip


def sampled(block: Block, top_p: float | None) -> Block:
    return dataclasses.replace(
        block,
        noise_BC=-torch.log(-torch.log(torch.rand(len(block.scores_BC), C))),
        temperature=torch.tensor(0.7),
        top_p=None if top_p is None else torch.tensor(top_p),
    )


def drawn_at(block: Block, i: int, r: torch.Tensor) -> torch.Tensor:
    """What the choice at position i is the largest of, behind the state r."""
    refined = block.scores_BC[i] + block.views_VW[block.index_BC[i]] @ r
    if block.noise_BC is None or block.temperature is None:
        return refined
    refined = refined / block.temperature
    if block.top_p is not None:
        refined = keep_top_p(refined[None], block.top_p)[0]
    return refined + block.noise_BC[i]


def check_chain(block: Block) -> None:
    """The draft, its second choices and their worth; siblings from three places, the last one's too."""
    B, first = len(block.scores_BC), int(block.first)
    chain = draft_in_sequence(block, siblings=True)
    r, share = torch.zeros(W), block.known_BW[0]
    behind, rows = [], []
    for i in range(B):
        if i <= first:
            share = block.known_BW[i]
        r = F.silu(block.inputs_BW[i] + share + block.carry_WW @ _norm(r))
        row = drawn_at(block, i, r)
        best, other = row.topk(2).indices.tolist()
        assert int(chain.tokens_B[i]) == int(block.vocab[block.index_BC[i, best]])
        # Where top-p leaves one candidate, there is no second.
        assert int(chain.second_B[i]) == other or row[other] == float("-inf")
        torch.testing.assert_close(chain.sure_B2[i], row.softmax(-1)[[best, other]], rtol=1e-4, atol=1e-6)
        share = block.candidates_VW[block.index_BC[i, best]]
        behind.append(r)
        rows.append(row)
    begins = torch.tensor([min(first, B - 1), B - 2, B - 1], dtype=torch.int32)
    picked = torch.tensor([1, 0, 2], dtype=torch.int32)
    tokens = torch.full((3, OWN), -5)
    siblings_in_sequence(block, chain, begins, picked, tokens)
    for s, begin in enumerate(begins.tolist()):
        r, share, made = behind[begin], block.candidates_VW[block.index_BC[begin, picked[s]]], [-5]
        for i in range(begin + 1, min(begin + OWN, B)):
            r = F.silu(block.inputs_BW[i] + share + block.carry_WW @ _norm(r))
            best = int(drawn_at(block, i, r).argmax())
            share = block.candidates_VW[block.index_BC[i, best]]
            made.append(int(block.vocab[block.index_BC[i, best]]))
        assert tokens[s].tolist() == made + [-1] * (OWN - len(made))


torch.manual_seed(0)
check_candidates()
# In the last one more is known than the block has places for.
for length, known in ((5, 0), (8, 2), (6, 5), (6, 7)):
    plain = make_block(length, known)
    for each in (plain, sampled(plain, None), sampled(plain, 0.6)):
        check_chain(each)
print("all equal")
