"""Decoders: verified is ar token for token, whatever is drafted; seeds, stops, limits, cancel."""

from __future__ import annotations

import dataclasses
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.drafter import Drafter, Proposal, Sibling
from model.request import GenerateRequest, complete
from tests.model.tiny_engines import requests, same


class Oracle(Drafter):
    """Drafts the true continuation, each token right with probability `rate`: exercises every acceptance
    point.
    """

    def __init__(self, truth: tuple[int, ...], prompt: int, rate: float, seed: int) -> None:
        self._truth, self._prompt, self._rate = truth, prompt, rate
        self._generator = torch.Generator().manual_seed(seed)

    def propose(self, h_BD, known, position, request, siblings=0):
        count = h_BD.shape[0] - len(known) + 1
        at = position - self._prompt
        ids = self._mixed(self._truth[at : at + count])
        places = torch.randperm(len(ids), generator=self._generator)[:siblings].tolist()
        return Proposal(
            ids, tuple(Sibling(i, tuple(self._mixed(self._truth[at + i : at + i + 8]))) for i in places)
        )

    def _mixed(self, truth):
        right = torch.rand(len(truth), generator=self._generator) < self._rate
        return [int(token) if ok else (int(token) + 1) % 256 for token, ok in zip(truth, right, strict=True)]


@settings(max_examples=40)
@given(
    request=requests,
    which=st.integers(0, 3),
    rate=st.sampled_from([None, 0.5, 0.9, 1.0]),
    seed=st.integers(0, 99),
)
def test_verified_is_ar_token_for_token(engines, request, which, rate, seed):
    engine = engines[which]
    plain = complete(engine, dataclasses.replace(request, decode="ar"))
    engine.draft_with(Oracle(plain.token_ids, len(request.prompt_ids), rate, seed) if rate else None)
    checked = complete(engine, dataclasses.replace(request, decode="verified"))
    assert same(plain, checked)
    assert checked.forwards <= checked.tokens


def test_verified_with_a_perfect_draft_needs_few_passes(engines):
    engine = engines[0]
    request = GenerateRequest(
        prompt="def f(", max_tokens=64, seed=1, temperature=1.0, block=16, extra={"branches": 16}
    )
    plain = complete(engine, request)
    engine.draft_with(Oracle(plain.token_ids, plain.prompt_tokens, 1.0, 0))
    checked = complete(engine, dataclasses.replace(request, decode="verified"))
    engine.draft_with(None)
    assert same(plain, checked)
    assert checked.forwards <= 2 + plain.tokens // 16


def test_siblings_that_are_right_save_passes(engines):
    engine = engines[0]
    request = GenerateRequest(prompt="def f(", max_tokens=64, block=16, extra={"branches": 16, "siblings": 0})
    plain = complete(engine, request)
    forwards = []
    for siblings in (0, 15):
        engine.draft_with(Oracle(plain.token_ids, plain.prompt_tokens, 0.7, 0))
        extra = {"branches": 16, "siblings": siblings}
        checked = complete(engine, dataclasses.replace(request, decode="verified", extra=extra))
        assert same(plain, checked)
        forwards.append(checked.forwards)
    engine.draft_with(None)
    assert forwards[1] < 0.8 * forwards[0]


def test_steps_add_up_to_the_generation(engines):
    for decode in ("ar", "verified"):
        request = GenerateRequest(prompt="x = ", max_tokens=40, temperature=1.0, decode=decode, block=8)
        steps = list(engines[0].generate(request))
        result = steps[-1].result
        assert all(step.result is None for step in steps[:-1])
        assert "".join(step.text for step in steps) == result.text
        committed = [token for step in steps for token in step.committed]
        assert [token.id for token in committed] == list(result.token_ids)
        assert [token.position for token in committed] == list(range(len(committed)))
        order = [step.index for step in steps for _ in step.committed]
        assert order == list(result.commit_step)
        assert result.forwards == len(steps)


def test_same_seed_same_run_and_other_seed_other_run(engines):
    request = GenerateRequest(prompt="abc", max_tokens=30, temperature=1.0, seed=3)
    first, again = complete(engines[0], request), complete(engines[0], request)
    other = complete(engines[0], dataclasses.replace(request, seed=4))
    assert same(first, again)
    assert first.token_ids != other.token_ids


@pytest.mark.parametrize("decode", ["ar", "verified"])
def test_a_stop_string_over_a_block_boundary(engines, decode):
    engine = engines[0]
    base = GenerateRequest(prompt="stop", max_tokens=60, temperature=1.0, seed=2)
    plain = complete(engine, base)
    for start in range(0, 24, 5):
        stop = plain.text[start : start + 4]
        request = dataclasses.replace(base, stop=(stop, "never"), decode=decode, block=8)
        result = complete(engine, request)
        assert result.text == plain.text[: plain.text.index(stop)]
        assert result.finish_reason == "stop"
        assert result.token_ids == plain.token_ids[: result.tokens]
        assert "".join(step.text for step in engine.generate(request)) == result.text


@pytest.mark.parametrize("decode", ["ar", "verified", "lookup"])
def test_cancel_ends_with_what_is_committed(engines, decode):
    request = GenerateRequest(prompt="cancel", max_tokens=50, decode=decode, block=8, temperature=1.0)
    whole = complete(engines[0], request)
    cancel = threading.Event()
    seen = []
    for step in engines[0].generate(request, cancel):
        seen.append(step)
        if len(seen) == 3:
            cancel.set()
    result = seen[-1].result
    assert result.finish_reason == "cancelled"
    assert result.token_ids == whole.token_ids[: result.tokens]
    assert result.token_ids == tuple(token.id for step in seen for token in step.committed)
    assert 3 <= result.tokens < 50


def test_a_draft_block_at_the_end_of_the_context(engines):
    """Blocks reach beyond the context here; only what fits is committed."""
    ids = tuple(i % 256 for i in range(2040))
    for decode in ("ar", "verified"):
        request = GenerateRequest(prompt_ids=ids, max_tokens=8, decode=decode, block=16)
        results = [complete(engines[0], dataclasses.replace(request, decode=d)) for d in ("ar", "verified")]
        assert same(*results)


def test_zero_tokens_is_an_empty_answer(engines):
    result = complete(engines[0], GenerateRequest(prompt="x", max_tokens=0))
    assert (result.text, result.tokens, result.finish_reason) == ("", 0, "length")
