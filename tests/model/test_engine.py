"""The engine around its decoders: what it refuses, what it keeps of the last answer, when it mounts heads."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from model.base import Base
from model.calibrate import UNMEASURED
from model.engine import Engine
from model.errors import ContextOverflowError, NumericsError, RequestError
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.request import GenerateRequest, Message, complete
from model.tiny import tiny_folder
from tests.model.tiny_engines import make_engine, same
from tests.model.tiny_heads import MASK_ID, randomise, small_config


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
        ({"decode": "diffusion", "block": 4}, "8 to 128"),
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
