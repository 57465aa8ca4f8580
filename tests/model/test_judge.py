"""Drafts that the AR head judges leniently: what stays satisfies the rule, what does not is rewritten, and
without lenience the answer is that of `ar`.
"""

from __future__ import annotations

import dataclasses
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.drafter import Drafter, Proposal, Sibling
from model.judge import Judge, settled
from model.request import GenerateRequest, complete
from model.sampling import logprob, scores
from tests.model.test_whole import PlainSteps
from tests.model.tiny_engines import requests, same

lenient = requests.flatmap(
    lambda request: st.builds(
        lambda block, window: dataclasses.replace(
            request, decode="diffusion", block=block, extra=request.extra | {"window": window}
        ),
        st.sampled_from([None, 8, 16]),
        st.sampled_from([0, 1, 3]),
    )
)


class Chosen(Drafter):
    """Drafts and siblings of random tokens, or of the given ones."""

    def __init__(self, seed: int, pool=range(256)) -> None:
        self._generator, self._pool = torch.Generator().manual_seed(seed), list(pool)

    def _some(self, count: int) -> list[int]:
        places = torch.randint(0, len(self._pool), (count,), generator=self._generator).tolist()
        return [self._pool[place] for place in places]

    def propose(self, h_BD, known, position, request, siblings=0):
        count = h_BD.shape[0] - len(known) + 1
        places = torch.randperm(count, generator=self._generator)[:siblings].tolist()
        return Proposal(self._some(count), tuple(Sibling(at, tuple(self._some(8))) for at in places))


def check(engine, request, steps) -> int:
    """Every token of the newest answer against the rule, from one plain pass over all of it; log
    probabilities and what it left in the cache bit for bit. Returns how many are not the AR head's own.
    """
    result = steps[-1].result
    runner = engine.weights.wide
    prompt = engine.encode(request)
    ids, first = [*prompt, *result.token_ids], len(prompt)
    cache = runner.cache(len(ids))
    states = runner.run(cache, [runner.clean(ids[:-1], 0)])
    logits = runner.logits(states)[first - 1 :]
    positions = torch.arange(first, len(ids))
    score = scores(logits, positions, temperature=request.temperature, top_p=request.top_p, seed=request.seed)
    token = torch.tensor(result.token_ids)
    best = score.argmax(-1)
    value, top = (score.gather(-1, x[:, None])[:, 0].float() for x in (token, best))
    other = token != best
    assert bool((value > top + Judge(request.threshold).slack(request.temperature))[other].all())
    assert result.logprobs == tuple(logprob(logits, token).tolist())
    left = engine._last.take(runner, ids, len(ids))
    assert left.length == [len(ids) - 1]
    assert torch.equal(left.keys[..., : len(ids) - 1, :], cache.keys[..., : len(ids) - 1, :])
    assert torch.equal(left.values[..., : len(ids) - 1, :], cache.values[..., : len(ids) - 1, :])
    revised = [token for step in steps for token in step.revised]
    committed = {token.position: token for step in steps for token in step.committed}
    assert all(committed[t.position] == t and t.id == best[t.position] for t in revised)
    assert all(len(step.revised) <= 1 for step in steps)
    ends = engine.tokenizer.eos_ids
    assert not set(result.token_ids[:-1]) & ends
    assert result.finish_reason == "length" or result.token_ids[-1] in ends
    return int(other.sum())


@settings(max_examples=15)
@given(request=lenient, which=st.integers(0, 3), seed=st.integers(0, 99))
def test_without_lenience_it_is_ar_token_for_token(engines, request, which, seed):
    engine = engines[which]
    plain = complete(engine, dataclasses.replace(request, decode="ar"))
    engine.draft_with(Chosen(seed, plain.token_ids) if seed % 2 else None)
    assert same(plain, complete(engine, dataclasses.replace(request, threshold=1.0)))


@settings(max_examples=30)
@given(
    request=lenient,
    which=st.integers(0, 3),
    threshold=st.sampled_from([0.9, 0.5, 0.1, 0.01, 1e-6]),
    seed=st.integers(0, 99),
)
def test_what_stays_satisfies_the_rule(engines, request, which, threshold, seed):
    engine = engines[which]
    request = dataclasses.replace(request, threshold=threshold)
    engine.draft_with(Chosen(seed) if seed % 2 else None)
    steps = list(engine.generate(request))
    check(engine, request, steps)


def test_the_more_lenient_the_more_stays(engines):
    engine = engines[0]
    stayed = []
    for threshold in (1.0, 0.01, 1e-30):
        engine.draft_with(Chosen(0))
        request = GenerateRequest(
            prompt="def f(",
            max_tokens=64,
            decode="diffusion",
            block=16,
            threshold=threshold,
            extra={"window": 0},
        )
        steps = list(engine.generate(request))
        stayed.append((check(engine, request, steps), -len(steps)))
    engine.draft_with(None)
    assert stayed[0][0] == 0
    assert sorted(stayed) == stayed
    assert len({forwards for _, forwards in stayed}) == 3
    # Nothing is refused: the first pass has no draft, each other one commits a whole block.
    assert -stayed[-1][1] <= 2 + 64 // 15


def test_what_top_p_cuts_off_never_stays(engines):
    engine = engines[0]
    request = GenerateRequest(
        prompt="def f(",
        max_tokens=30,
        decode="diffusion",
        block=8,
        threshold=1e-30,
        temperature=0.2,
        top_p=0.1,
        extra={"window": 0},
    )
    engine.draft_with(Chosen(1))
    steps = list(engine.generate(request))
    engine.draft_with(None)
    check(engine, request, steps)
    plain = complete(engine, dataclasses.replace(request, decode="ar"))
    assert steps[-1].result.token_ids == plain.token_ids


def test_of_equal_scores_only_the_first_stays_without_lenience():
    scores_NV = torch.tensor([[0.0, 2.0, 2.0], [0.0, 2.0, 1.0], [0.0, 2.0, 1.0]])
    own, drafts = torch.tensor([1, 1, 1]), torch.tensor([2, 2, -1])

    def kept(lenience: float, temperature: float = 1.0) -> list[int]:
        slack = Judge(lenience).slack(temperature)
        return settled(scores_NV / temperature, own, drafts, slack, 0).tolist()

    assert kept(1.0) == [1, 1, 1]
    assert kept(0.9) == [2, 1, 1]
    assert kept(0.3) == [2, 2, 1]
    assert kept(0.3, 2.0) == [2, 2, 1]
    assert kept(0.4, 2.0) == [2, 1, 1]


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 4),
    st.integers(0, 3),
)
def test_what_stays_is_followed_by_a_window_of_own_choices(tokens, window, padding):
    """tokens: whether each draft token is the AR head's own, else whether it is likely enough."""
    scores_NV = torch.tensor([[1.0, 0.9 if near else 0.0] for _, near in tokens] + [[1.0, 0.9]] * padding)
    own = torch.zeros(len(scores_NV), dtype=torch.int64)
    drafts = torch.tensor([0 if right else 1 for right, _ in tokens] + [-1] * padding)
    got = settled(scores_NV, own, drafts, Judge(0.5).slack(0.0), window).tolist()
    for place, (right, near) in enumerate(tokens):
        following = tokens[place + 1 : place + 1 + window]
        stays = not right and near and len(following) == window and all(other for other, _ in following)
        assert got[place] == int(stays)
    assert got[len(tokens) :] == [0] * padding


def test_an_end_token_that_stays_ends_the_answer(engines):
    engine = engines[0]
    end = min(engine.tokenizer.eos_ids)
    request = GenerateRequest(
        prompt="x = ", max_tokens=50, decode="diffusion", block=16, threshold=1e-30, extra={"window": 0}
    )
    engine.draft_with(Chosen(3, [65, 66, 67, 68, 69, 70, end]))
    steps = list(engine.generate(request))
    result = steps[-1].result
    assert result.finish_reason == "stop"
    assert result.token_ids.index(end) == result.tokens - 1
    check(engine, request, steps)
    assert steps[-1].draft == ()
    engine.draft_with(None)


def test_stops_limits_and_cancel(engines):
    engine = engines[0]
    base = GenerateRequest(
        prompt="stop", max_tokens=50, decode="diffusion", block=8, threshold=0.2, temperature=1.0, seed=2
    )
    plain = complete(engine, base)
    for start in range(0, 20, 5):
        stop = plain.text[start : start + 4]
        result = complete(engine, dataclasses.replace(base, stop=(stop, "never")))
        assert result.text == plain.text[: plain.text.index(stop)]
        assert result.finish_reason == "stop"
    short = complete(engine, dataclasses.replace(base, max_tokens=1))
    assert (short.tokens, short.finish_reason) == (1, "length")
    cancel, seen = threading.Event(), []
    for step in engine.generate(base, cancel):
        seen.append(step)
        if len(seen) == 2:
            cancel.set()
    result = seen[-1].result
    assert result.finish_reason == "cancelled"
    assert result.token_ids == plain.token_ids[: result.tokens]


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_whole_steps_are_as_lenient(engines, monkeypatch, temperature):
    engine = engines[0]
    request = GenerateRequest(
        prompt="def add(a, b):",
        max_tokens=60,
        decode="diffusion",
        temperature=temperature,
        extra={"window": 0},
    )
    engine.draft_with(None)
    engine.weights.mount()
    stayed, revised = [], []
    for threshold in (1.0, 0.01, 1e-30):
        request = dataclasses.replace(request, threshold=threshold)
        own = complete(engine, dataclasses.replace(request, decode="ar"))
        # What `ar` says, every fourth token replaced: some of these stay.
        truth = [(t + i) % 256 if i % 4 == 3 else t for i, t in enumerate(own.token_ids)]
        made = PlainSteps(engine.weights.wide, engine.decoders.draft_limit, truth)
        monkeypatch.setattr(engine.weights.wide, "whole_steps", lambda capacity, limit, made=made: made)
        steps = list(engine.generate(request))
        monkeypatch.undo()
        assert made.shapes
        stayed.append(check(engine, request, steps))
        revised.append(any(step.revised for step in steps))
        assert threshold < 1 or steps[-1].result.token_ids == own.token_ids
    assert stayed[0] == 0 < stayed[-1]
    # Exact steps call nothing revised; where everything stays, nothing is.
    assert revised == [False, True, False]
