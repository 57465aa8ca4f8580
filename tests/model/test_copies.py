"""Copies beside a head's draft: which is the line, where the draft goes on beside it, and what it saves."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import verified
from model.copies import TRUSTED, Copies, Joined
from model.drafter import Drafter, Sibling
from model.ngrams import Ngrams
from model.plan import SIBLING, Curve, Planner
from model.request import GenerateRequest, complete
from model.session import Session
from tests.model.tiny_engines import make_engine, requests, same

CHEAP = Curve((1, 65), (1.0, 1.5))


def test_a_long_match_makes_the_copy_the_line_and_the_draft_its_sibling():
    text = list(range(20))
    copies = Copies([*text, 99, *text[:8]])
    assert copies.join([8, 9, 50, 51], 6) == Joined((8, 9, 10, 11, 12, 13), True, Sibling(2, (50, 51)))
    assert copies.join(range(100, 112), 6).beside == Sibling(0, tuple(range(100, 108)))
    assert copies.join([], 6) == Joined((8, 9, 10, 11, 12, 13), True)
    assert copies.join([8, 9, 10], 4) == Joined((8, 9, 10, 11), True)
    assert copies.join([8, 9, 10, 50], 3) == Joined((8, 9, 10), True)


def test_a_short_match_counts_with_what_the_draft_says_too():
    text = list(range(20))
    copies = Copies([*text, 99, *text[:3]])  # three tokens that occurred before
    assert copies.join([3, 4, 5, 6, 60], 8) == Joined((3, 4, 5, 6, 60))
    assert copies.join([3, 4, 5, 6, 7, 60], 8) == Joined(tuple(range(3, 11)), True, Sibling(5, (60,)))
    copies.extend(text[3:8])
    assert copies.join([60], 2) == Joined((8, 9), True, Sibling(0, (60,)))


def test_a_text_without_repetition_leaves_the_draft():
    copies = Copies(range(20))
    assert copies.join([7, 8, 9] * 5, 15) == Joined((7, 8, 9) * 5)
    assert Copies().join([1, 2], 31) == Joined((1, 2))


@given(
    text=st.lists(st.integers(0, 2), max_size=50),
    draft=st.lists(st.integers(0, 2), max_size=31).map(tuple),
    most=st.integers(0, 31),
)
def test_a_line_is_the_copy_or_the_draft_and_the_sibling_what_the_line_is_not(text, draft, most):
    copy = Ngrams(text).draft(most)
    line = Copies(text).join(draft, most)
    agreed = 0
    while agreed < min(most, len(draft)) and copy.match and copy.tokens[agreed] == draft[agreed]:
        agreed += 1
    assert line.copied == bool(copy.tokens and copy.match + agreed >= TRUSTED)
    assert line.ids == (copy.tokens if line.copied else draft)
    if line.beside is not None:
        at = line.beside.at
        assert line.ids[:at] == draft[:at]
        assert line.ids[at] != draft[at]
        assert line.beside.ids == draft[at : at + SIBLING]
    elif line.copied:
        assert line.ids[: len(draft)] == draft[: len(line.ids)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return make_engine(tmp_path_factory.mktemp("copies"))


def decoded(engine, request, copies) -> Session:
    """Pass by pass with the engine's heads."""
    prompt = engine.encode(request)
    engine.weights.mount()
    runner = engine.weights.wide
    session = Session(request, prompt, engine.tokenizer, model="", decode="verified", cancel=None)
    cache = runner.cache(len(prompt) + request.max_tokens)
    runner.prefill(cache, prompt[:-1])
    drafter = Drafter(runner, engine.decoders.draft_limit)
    for _ in verified.decode(runner, cache, session, drafter, Planner(CHEAP), copies=copies):
        pass
    return session


@settings(max_examples=30)
@given(request=requests, repeats=st.integers(1, 3))
def test_copies_leave_the_answer_of_ar(engine, request, repeats):
    request = dataclasses.replace(request, prompt_ids=request.prompt_ids * repeats)
    plain = complete(engine, dataclasses.replace(request, decode="ar"))
    session = decoded(engine, request, Copies())
    assert tuple(session.ids) == plain.token_ids
    assert tuple(session.logprobs) == plain.logprobs


@pytest.mark.parametrize("block", [None, 16])
def test_a_text_that_repeats_needs_fewer_passes_with_copies(engine, block):
    """Greedy decoding of a tiny model soon runs in a circle."""
    request = GenerateRequest(prompt="def f(", max_tokens=200, block=block, decode="verified")
    without, copied = (decoded(engine, request, each) for each in (None, Copies()))
    assert without.ids == copied.ids
    assert copied.forwards < 0.7 * without.forwards


def test_the_engine_copies_but_where_the_head_is_measured(engine):
    request = GenerateRequest(prompt="def f(", max_tokens=200, decode="verified")
    engine.draft_with(None)
    made = complete(engine, request)
    engine.draft_with(Drafter(engine.weights.wide, engine.decoders.draft_limit))
    alone = complete(engine, request)
    engine.draft_with(None)
    off = complete(engine, dataclasses.replace(request, extra={"copies": 0}))
    assert same(made, alone)
    assert same(made, off)
    assert off.forwards == alone.forwards
    assert made.forwards < 0.9 * alone.forwards


def test_a_lenient_judge_has_no_copies(engine, monkeypatch):
    monkeypatch.setattr("model.decoders.Copies", None)
    engine.draft_with(None)
    request = GenerateRequest(prompt="x = 1, x = 1, x", max_tokens=20, decode="diffusion", block=8)
    assert complete(engine, request).tokens == 20
    with pytest.raises(TypeError):
        complete(engine, dataclasses.replace(request, threshold=1.0))
