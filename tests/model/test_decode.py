"""Decoders: verified is ar token for token, whatever is drafted; seeds, stops, limits, cancel, shared
prefixes.
"""

from __future__ import annotations

import dataclasses
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.base import Base
from model.calibrate import UNMEASURED
from model.drafter import Drafter
from model.engine import Engine
from model.errors import ContextOverflowError, NumericsError, RequestError
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.request import GenerateRequest, Message, complete
from model.tiny import tiny_folder
from tests.model.test_heads import MASK_ID, randomise, small_config


def make_engine(root, family="qwen2", seed=0, precision=None, spread=1.0) -> Engine:
    """A tiny model with random heads."""
    folder = tiny_folder(root / f"{family}{seed}", family, seed, context=2048)
    base = Base.load(folder)
    raw = small_config().as_dict()
    if family == "qwen3_moe":
        for head in raw["heads"].values():
            head["target_modules"] = ["q_proj", "o_proj"]
    heads = HeadSet.create(base, HeadsConfig.parse(raw, "test"), MASK_ID)
    randomise(base, heads, seed)
    bare = Engine(folder, name="tiny")
    place = root / f"heads-{family}{seed}"
    heads.save(
        place, base, base_sha256=bare.weights.base_sha256, tokenizer_sha256=bare.tokenizer.sha256, training={}
    )
    return Engine(folder, name="tiny", heads=place, precision=precision)


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """Tiny models with random heads: two precisions, three families."""
    root = tmp_path_factory.mktemp("engines")
    return [
        make_engine(root, "qwen2"),
        make_engine(root, "qwen2", 1, "bf16"),
        make_engine(root, "qwen3", 2),
        make_engine(root, "qwen3_moe", 3),
    ]


class Oracle(Drafter):
    """Drafts the true continuation, each token right with probability `rate`: exercises every acceptance
    point.
    """

    def __init__(self, truth: tuple[int, ...], prompt: int, rate: float, seed: int) -> None:
        self._truth, self._prompt, self._rate = truth, prompt, rate
        self._generator = torch.Generator().manual_seed(seed)

    def propose(self, h_BD, known, position, request):
        count = h_BD.shape[0] - len(known) + 1
        at = position - self._prompt
        right = torch.rand(count, generator=self._generator) < self._rate
        return [
            int(token) if ok else (int(token) + 1) % 256
            for token, ok in zip(self._truth[at : at + count], right, strict=False)
        ]


requests = st.builds(
    GenerateRequest,
    prompt_ids=st.lists(st.integers(0, 255), min_size=1, max_size=40).map(tuple),
    max_tokens=st.integers(1, 70),
    temperature=st.sampled_from([0.0, 0.0, 0.7, 1.3]),
    top_p=st.sampled_from([1.0, 0.9]),
    seed=st.integers(0, 5),
    block=st.sampled_from([None, 2, 5, 16]),
    extra=st.builds(lambda k: {"branches": k}, st.integers(1, 8)),
)


def same(one, two) -> bool:
    return (one.token_ids, one.text, one.finish_reason, one.logprobs) == (
        two.token_ids,
        two.text,
        two.finish_reason,
        two.logprobs,
    )


@settings(max_examples=40, deadline=None)
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


def test_two_requests_that_share_a_prefix(engines, monkeypatch):
    engine = engines[0]
    fresh = Engine(engine.folder, name="tiny")
    prompts = ["The same long beginning, then A", "The same long beginning, then B", "The same", "Other"]
    shared = Engine(engine.folder, name="tiny")
    read = []
    prefill = shared.weights.runner.prefill
    monkeypatch.setattr(
        shared.weights.runner, "prefill", lambda cache, ids: (read.append(len(ids)), prefill(cache, ids))[1]
    )
    for prompt in prompts:
        fresh.forget()
        request = GenerateRequest(prompt=prompt, max_tokens=12)
        assert same(complete(fresh, request), complete(shared, request))
    whole = [len(engine.encode(GenerateRequest(prompt=prompt))) - 1 for prompt in prompts]
    assert read == [whole[0], 0, 0, whole[3]]


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


def test_a_closed_iterator_leaves_a_usable_engine(engines):
    request = GenerateRequest(prompt="close", max_tokens=20)
    steps = engines[0].generate(request)
    next(steps)
    steps.close()
    again, third = complete(engines[0], request), complete(engines[0], request)
    assert same(again, third)


def test_context_overflow_comes_before_the_first_pass(engines):
    request = GenerateRequest(prompt="x" * 100, max_tokens=2048)
    with pytest.raises(ContextOverflowError, match="exceed the context of 2048"):
        engines[0].generate(request)


def test_a_draft_block_at_the_end_of_the_context(engines):
    """Blocks reach beyond the context here; only what fits is committed."""
    ids = tuple(i % 256 for i in range(2040))
    for decode in ("ar", "verified"):
        request = GenerateRequest(prompt_ids=ids, max_tokens=8, decode=decode, block=16)
        results = [complete(engines[0], dataclasses.replace(request, decode=d)) for d in ("ar", "verified")]
        assert same(*results)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": None}, "exactly one"),
        ({"messages": (Message("user", "x"),)}, "exactly one"),
        ({"prompt": ""}, "empty"),
        ({"prompt": None, "prompt_ids": (MASK_ID,)}, "must be tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"stop": ("",)}, "stop string"),
        ({"block": 1}, "block"),
        ({"threshold": 1.5}, "threshold"),
    ],
)
def test_bad_requests(engines, changes, message):
    request = dataclasses.replace(GenerateRequest(prompt="x"), **changes)
    with pytest.raises(RequestError, match=message):
        engines[0].generate(request)


def test_nan_weights_are_a_numerics_error(tmp_path):
    engine = make_engine(tmp_path)
    with torch.no_grad():
        engine.weights.base.norm.weight[0] = float("nan")
    with pytest.raises(NumericsError, match="NaN"):
        complete(engine, GenerateRequest(prompt="x", max_tokens=2))


def test_zero_tokens_is_an_empty_answer(engines):
    result = complete(engines[0], GenerateRequest(prompt="x", max_tokens=0))
    assert (result.text, result.tokens, result.finish_reason) == ("", 0, "length")


def test_literal_mask_text_survives(engines):
    engine = engines[0]
    text = "keep <|mask|> as text"
    ids = engine.encode(GenerateRequest(prompt=text))
    assert engine.tokenizer.decode(ids) == text
    assert MASK_ID not in ids
    chat = engine.encode(GenerateRequest(messages=(Message("user", text),)))
    assert MASK_ID not in chat
    assert text in engine.tokenizer.decode(chat)


def test_heads_are_mounted_when_needed(engines, tmp_path):
    """Without an AR head, `ar` runs on the bare base; drafts mount the heads, and the answer stays."""
    raw = small_config().as_dict()
    del raw["heads"]["ar_head"]
    folder = engines[0].folder
    base, bare = Base.load(folder), Engine(folder, name="tiny")
    heads = HeadSet.create(base, HeadsConfig.parse(raw, "test"), MASK_ID)
    randomise(base, heads)
    heads.save(tmp_path, base, base_sha256=bare.weights.base_sha256, tokenizer_sha256=bare.tokenizer.sha256)
    engine = Engine(folder, name="tiny", heads=tmp_path)
    request = GenerateRequest(prompt="lazy", max_tokens=12)
    plain = complete(engine, request)
    assert engine.weights.heads is None
    assert engine.info.heads_sha256
    assert same(plain, complete(bare, request))
    assert same(plain, complete(engine, dataclasses.replace(request, decode="verified", block=8)))
    assert engine.weights.heads is not None
    assert same(plain, complete(engine, request))


def test_measuring_widths_leaves_the_answer_alone(engines, monkeypatch):
    """On a GPU all passes share one cache, and the planner's first use measures passes in it."""
    engine = engines[0]
    runner = engine.weights.wide
    one = runner.cache(600)

    def cache(capacity, rows=1):
        one.length = [0]
        return one

    def measure(of):
        of.prefill(of.cache(300), [0] * 257)
        return UNMEASURED

    monkeypatch.setattr(runner, "cache", cache)
    monkeypatch.setattr("model.planners.width_curve", measure)
    engine.forget()
    request = GenerateRequest(prompt="def add(a, b):", max_tokens=24, decode="ar")
    truth = complete(engine, request).token_ids
    engine.draft_with(None)
    assert complete(engine, dataclasses.replace(request, decode="verified")).token_ids == truth
    engine.forget()


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_verified_without_a_drafter_decodes_as_ar_does(tmp_path, monkeypatch, temperature):
    """No blocks that nothing was trained to fill, no widths to measure for them."""
    engine = Engine(tiny_folder(tmp_path), name="tiny")
    monkeypatch.setattr("model.planners.width_curve", None)
    widths = []
    run = engine.weights.runner.run
    monkeypatch.setattr(
        engine.weights.runner, "run", lambda cache, parts: (widths.append(len(parts)), run(cache, parts))[1]
    )
    request = GenerateRequest(
        prompt="def add(a, b):", max_tokens=9, decode="verified", temperature=temperature
    )
    checked = complete(engine, request)
    assert set(widths) == {1}
    assert checked.forwards == checked.tokens == 9
    assert checked.decode == "verified"
    assert same(checked, complete(engine, dataclasses.replace(request, decode="ar")))
