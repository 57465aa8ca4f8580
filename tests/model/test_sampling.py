"""Sampling: the noise is fair, seeded by position, and verified answers have the distribution of ar."""

from __future__ import annotations

import pytest
import torch

from model.errors import NumericsError
from model.judge import choose
from model.request import GenerateRequest
from model.sampling import check, gumbel, keep_top_p, logprob, scores
from tests.model.chi_square import chi_square, limit

DRAWS = 50_000


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_tokens_have_the_wanted_distribution(top_p):
    logits = torch.randn(12, generator=torch.Generator().manual_seed(0)) * 1.5
    rows = logits.expand(DRAWS, -1)
    ids = scores(rows, torch.arange(DRAWS), temperature=0.7, top_p=top_p, seed=11).argmax(-1)
    probability = keep_top_p(logits[None] / 0.7, top_p)[0].softmax(-1)
    counts = torch.bincount(ids, minlength=12)
    assert chi_square(counts, probability) < limit(12)
    assert not counts[probability == 0].any()


def test_seeds_and_neighbouring_positions_are_independent():
    logits = torch.zeros(DRAWS, 4)
    here = scores(logits, torch.arange(DRAWS), temperature=1.0, seed=1).argmax(-1)
    for other in (
        scores(logits, torch.arange(DRAWS) + 1, temperature=1.0, seed=1).argmax(-1),
        scores(logits, torch.arange(DRAWS), temperature=1.0, seed=2).argmax(-1),
    ):
        pairs = torch.bincount(here * 4 + other, minlength=16)
        assert chi_square(pairs, torch.full((16,), 1 / 16)) < limit(16)


class Markov:
    """A tiny model: the next token depends on the last one. Vectorised over many answers at once."""

    def __init__(self, vocab: int, seed: int) -> None:
        self.table = torch.randn(vocab, vocab, generator=torch.Generator().manual_seed(seed))

    def ar(self, count: int, length: int, seed: int) -> torch.Tensor:
        """[count, length]; answer i takes positions i * length..."""
        out = torch.zeros(count, length + 1, dtype=torch.int64)
        base = torch.arange(count) * length
        for i in range(length):
            out[:, i + 1] = scores(self.table[out[:, i]], base + i, temperature=1.0, seed=seed).argmax(-1)
        return out[:, 1:]

    def verified(self, other: Markov, count: int, length: int, seed: int) -> torch.Tensor:
        """Drafts all tokens with another model and the common noise, accepts while the target picks the
        same, and repairs with the target's own token: the acceptance rule of model.verified, for every
        answer at once.
        """
        out = torch.zeros(count, length + 1, dtype=torch.int64)
        base = torch.arange(count) * length
        done = torch.zeros(count, dtype=torch.int64)
        while int(done.min()) < length:
            draft = out.clone()
            for i in range(length):
                here = scores(other.table[draft[:, i]], base + i, temperature=1.0, seed=seed).argmax(-1)
                draft[:, i + 1] = torch.where(done > i, out[:, i + 1], here)
            accepting = torch.ones(count, dtype=torch.bool)
            before = done.clone()
            for i in range(length):
                target = scores(self.table[draft[:, i]], base + i, temperature=1.0, seed=seed).argmax(-1)
                live = accepting & (before <= i)
                out[:, i + 1] = torch.where(live, target, out[:, i + 1])
                done = torch.where(live, i + 1, done)
                accepting = accepting & (~live | (target == draft[:, i + 1]))
        return out[:, 1:]


def test_verified_answers_have_the_distribution_of_ar():
    target, draft = Markov(6, 0), Markov(6, 1)
    answers = target.verified(draft, DRAWS, 3, seed=7)
    assert torch.equal(answers, target.ar(DRAWS, 3, seed=7))
    cells = (answers * torch.tensor([36, 6, 1])).sum(-1)
    first = target.table.softmax(-1)
    joint = first[0][:, None, None] * first[:, :, None] * first[None, :, :]
    assert chi_square(torch.bincount(cells, minlength=216), joint.flatten()) < limit(216)


def test_noise_is_a_function_of_its_arguments():
    ids = torch.arange(1000)
    all_of_it = gumbel(3, torch.arange(5), ids)
    assert torch.equal(all_of_it[2:3, 100:200], gumbel(3, torch.tensor([2]), ids[100:200]))
    assert torch.isfinite(all_of_it).all()
    assert abs(float(all_of_it.mean()) - 0.5772) < 0.1


def test_greedy_takes_the_first_of_equals():
    ids, _, _ = choose(torch.tensor([[0.0, 2.0, 2.0]]), 0, GenerateRequest())
    assert ids == [1]


def test_top_p_keeps_the_smallest_sufficient_set():
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    assert torch.isfinite(keep_top_p(logits, 0.5)).tolist() == [[True, False, False]]
    assert torch.isfinite(keep_top_p(logits, 0.51)).tolist() == [[True, True, False]]
    assert torch.isfinite(keep_top_p(logits, 1e-9)).tolist() == [[True, False, False]]


def test_logprob_is_the_log_of_softmax():
    logits = torch.randn(3, 7)
    expected = logits.softmax(-1)[torch.arange(3), torch.tensor([1, 2, 3])].log()
    torch.testing.assert_close(logprob(logits, torch.tensor([1, 2, 3])), expected)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_bad_logits(bad):
    with pytest.raises(NumericsError):
        check(torch.tensor([[0.0, bad]]))
