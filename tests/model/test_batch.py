"""Batched generation: every answer is the one that `generate` gives, whatever else runs beside it."""

from __future__ import annotations

import dataclasses
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import store
from model.bench_rows.decode import PROMPTS
from model.errors import ContextOverflowError, NumericsError, RequestError
from model.kvcache import KVCache
from model.load import load
from model.request import GenerateRequest, Message, complete
from model.sampling import pick_rows, scores
from tests.model.tiny_engines import make_engine, same


def collect(engine, requests, **options):
    """The generation and the joined step text of each request."""
    results, texts = [None] * len(requests), [""] * len(requests)
    for index, step in engine.generate_many(requests, **options):
        assert results[index] is None, "a step after the last one"
        results[index] = step.result
        texts[index] += step.text
    assert texts == [result.text for result in results]
    return results


one = st.builds(
    GenerateRequest,
    # Few distinct prompts, so that some are shared.
    prompt_ids=st.one_of(
        st.lists(st.integers(0, 255), min_size=1, max_size=30).map(tuple), st.sampled_from([(1, 2, 3), (7,)])
    ),
    max_tokens=st.integers(0, 12),
    temperature=st.sampled_from([0.0, 0.7, 1.3]),
    top_p=st.sampled_from([1.0, 0.9]),
    seed=st.integers(0, 5),
    decode=st.sampled_from(["ar", "ar", "ar", "auto", "verified"]),
)


@settings(max_examples=30)
@given(
    requests=st.lists(one, min_size=1, max_size=7),
    which=st.integers(0, 3),
    rows=st.sampled_from([None, 1, 2, 3]),
)
def test_answers_do_not_depend_on_the_batch(engines, requests, which, rows):
    engine = engines[which]
    alone = [complete(engine, dataclasses.replace(request, decode="ar")) for request in requests]
    together = collect(engine, requests, max_batch=rows)
    assert all(same(*pair) for pair in zip(alone, together, strict=True))


def test_stops_and_limits_are_each_requests_own(engines):
    engine = engines[0]
    base = GenerateRequest(prompt="stop", max_tokens=40, temperature=1.0, seed=2)
    plain = complete(engine, base)
    requests = [
        dataclasses.replace(base, stop=(plain.text[start : start + 4],), max_tokens=limit)
        for start, limit in ((0, 40), (5, 40), (9, 3), (20, 40))
    ]
    alone = [complete(engine, request) for request in requests]
    assert {result.finish_reason for result in alone} == {"stop", "length"}
    assert all(same(*pair) for pair in zip(alone, collect(engine, requests, max_batch=3), strict=True))


def test_one_request_is_cancelled_and_the_others_go_on(engines):
    engine = engines[0]
    requests = [
        GenerateRequest(prompt=f"cancel {i}", max_tokens=20, temperature=1.0, seed=i) for i in range(4)
    ]
    alone = [complete(engine, request) for request in requests]
    events = [threading.Event() for _ in requests]
    events[3].set()
    results = {}
    for index, step in engine.generate_many(requests, cancel=events, max_batch=2):
        results[index] = step.result
        if index == 1 and step.index == 2:
            events[1].set()
    assert [results[i].finish_reason == "cancelled" for i in range(4)] == [False, True, False, True]
    assert results[1].token_ids == alone[1].token_ids[:3]
    assert results[3].tokens == 0
    assert same(results[0], alone[0])
    assert same(results[2], alone[2])


def test_one_event_cancels_all(engines):
    cancel = threading.Event()
    requests = [GenerateRequest(prompt="x", max_tokens=30, temperature=1.0, seed=i) for i in range(5)]
    results = {}
    for index, step in engines[0].generate_many(requests, cancel=cancel, max_batch=2):
        results[index] = step.result or results.get(index)
        cancel.set()
    assert [results[i].finish_reason for i in range(5)] == ["cancelled"] * 5


def test_a_bad_request_is_named_before_the_first_pass(engines):
    good = GenerateRequest(prompt="x", max_tokens=4)
    with pytest.raises(RequestError, match="request 1: temperature is -1"):
        engines[0].generate_many([good, dataclasses.replace(good, temperature=-1)])
    with pytest.raises(ContextOverflowError, match="request 2: "):
        engines[0].generate_many([good, good, dataclasses.replace(good, max_tokens=9999)])
    with pytest.raises(RequestError, match="max_batch is 0"):
        engines[0].generate_many([good], max_batch=0)
    with pytest.raises(RequestError, match="1 cancel events for 2 requests"):
        engines[0].generate_many([good, good], cancel=[None])


def test_nan_logits_are_a_numerics_error(tmp_path):
    engine = make_engine(tmp_path)
    with torch.no_grad():
        engine.weights.base.norm.weight[0] = float("nan")
    with pytest.raises(NumericsError, match="NaN"):
        list(engine.generate_many([GenerateRequest(prompt="x", max_tokens=2)] * 2))


def test_no_requests_are_no_steps(engines):
    assert list(engines[0].generate_many([])) == []


def test_equal_prompts_are_read_once(engines, monkeypatch):
    engine, seen = engines[0], []
    prefill = type(engine.weights.runner).prefill
    monkeypatch.setattr(
        type(engine.weights.runner),
        "prefill",
        lambda self, cache, ids: (seen.append(len(ids)), prefill(self, cache, ids)),
    )
    requests = [
        GenerateRequest(prompt="the same prompt", max_tokens=5, temperature=1.0, seed=i) for i in range(4)
    ]
    results = collect(engine, requests)
    assert seen == [len("the same prompt") - 1]
    assert len({result.token_ids for result in results}) > 1


def test_an_abandoned_batch_leaves_a_usable_engine(engines):
    requests = [GenerateRequest(prompt=f"p{i}", max_tokens=9) for i in range(3)]
    steps = engines[0].generate_many(requests)
    next(steps)
    steps.close()
    alone = [complete(engines[0], request) for request in requests]
    assert all(same(*pair) for pair in zip(alone, collect(engines[0], requests), strict=True))


def test_rows_append_truncate_fork_and_copy(engines):
    runner = engines[0].weights.runner
    cache = KVCache(runner.base.config, 3, 40, torch.float32)
    view = cache.part(1, 2)
    runner.prefill(view, [1, 2, 3, 4, 5])
    cache.length[1] = view.length[0]
    assert cache.length == [0, 5, 0]
    cache.copy(1, 2, 3)
    cache.truncate(4, row=1)
    twin = cache.fork(2, row=1)
    assert (cache.length, twin.length) == ([0, 4, 3], [4, 4])
    assert torch.equal(cache.keys[:, 2, :, :3], cache.keys[:, 1, :, :3])
    assert torch.equal(twin.keys[:, 1, :, :4], cache.keys[:, 1, :, :4])
    single = runner.cache(40)
    runner.prefill(single, [1, 2, 3, 4, 5])
    assert torch.equal(single.keys[:, 0, :, :5], cache.keys[:, 1, :, :5])


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.3, 1.0, 1.7]), st.sampled_from([1.0, 0.5, 0.95]), st.integers(0, 2**40)
        ),
        min_size=1,
        max_size=6,
    ),
    seed=st.integers(0, 9),
)
def test_rows_with_their_own_settings_pick_what_they_would_alone(rows, seed):
    logits = 3 * torch.randn(len(rows), 50, generator=torch.Generator().manual_seed(seed))
    positions = torch.arange(len(rows)) * 7
    warm, top_p, seeds = (torch.tensor(column) for column in zip(*rows, strict=True))
    together = pick_rows(logits, positions, warm, top_p, seeds)
    for i, (temperature, cut, key) in enumerate(rows):
        one = slice(i, i + 1)
        alone = scores(logits[one], positions[one], temperature=temperature, top_p=cut, seed=key)
        assert alone.argmax(-1)[0] == together[i]


@pytest.mark.real
@pytest.mark.timeout(600)
def test_a_batch_of_real_prompts_is_its_members():
    name = "qwen2.5-coder-0.5b"
    if not store.is_pulled(name):
        pytest.skip(f"{name} is not pulled")
    engine = load(name, device="cpu", heads="none")
    requests = [
        GenerateRequest(messages=(Message("user", prompt),), max_tokens=24, temperature=warm, seed=3)
        for prompt, warm in zip(PROMPTS[:3], (0.0, 0.0, 0.8), strict=True)
    ]
    alone = [complete(engine, request) for request in requests]
    assert all(same(*pair) for pair in zip(alone, collect(engine, requests), strict=True))
