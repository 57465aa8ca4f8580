"""Free-running diffusion: edits that end, blocks, length, the flow."""

from __future__ import annotations

import dataclasses
import io
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from model import flow
from model.engine import Engine
from model.errors import RequestError
from model.length import LengthHead
from model.request import GenerateRequest, complete
from tests.model.tiny_engines import make_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return make_engine(tmp_path_factory.mktemp("diffusion"))


def run(engine, **changes):
    base = GenerateRequest(prompt="def f(x):\n", max_tokens=50, decode="diffusion", block=8)
    changes["extra"] = {"scaffold": 24} | changes.get("extra", {})  # free running, by prefix or by block
    request = dataclasses.replace(base, **changes)
    steps = list(engine.generate(request))
    return steps, steps[-1].result


@settings(max_examples=25)
@given(
    block=st.sampled_from([8, 16, 32]),
    flight=st.integers(1, 3),
    delay=st.integers(0, 2),
    edit=st.sampled_from([1.0, 0.02]),
    rule=st.sampled_from(["threshold", "entropy"]),
    threshold=st.sampled_from([0.01, 0.1, 0.9]),
    temperature=st.sampled_from([0.0, 1.0]),
    tokens=st.integers(1, 60),
    prefix=st.booleans(),
)
def test_every_setting_ends_and_adds_up(
    engine, block, flight, delay, edit, rule, threshold, temperature, tokens, prefix
):
    extra = {"rule": rule, "bound": 3.0}
    if prefix:
        edit, delay = 1.0, 0
    else:
        extra |= {"flight": flight, "delay": delay, "edit": edit}
    steps, result = run(
        engine, block=block, threshold=threshold, temperature=temperature, max_tokens=tokens, extra=extra
    )
    assert result.tokens == tokens or result.finish_reason == "stop"
    assert "".join(step.text for step in steps) == result.text
    committed = [token for step in steps for token in step.committed]
    assert [token.id for token in committed] == list(result.token_ids)
    assert [token.position for token in committed] == list(range(len(committed)))
    # Every pass of the diffusion head shows at least one token, unless it only edits or waits.
    infill = [step for step in steps if step.head == "diffusion"]
    assert sum(not step.draft for step in infill) <= (delay + 1) * (1 + len(infill))
    rewrites: dict[int, int] = {}
    for step in infill:
        for token in step.revised:
            rewrites[token.position] = rewrites.get(token.position, 0) + 1
    assert all(count <= 2 for count in rewrites.values())
    assert edit < 1 or not rewrites


def test_a_low_threshold_takes_fewer_passes(engine):
    extra = {"scaffold": 0, "order": False}
    slow, fast = run(engine, threshold=1.0, extra=extra)[1], run(engine, threshold=0.001, extra=extra)[1]
    assert slow.tokens / slow.forwards < 2 < fast.tokens / fast.forwards


def test_a_prefix_is_committed_at_once_and_never_shown_twice(engine):
    for threshold, rate in ((1.0, 1), (0.001, 8)):
        steps, result = run(engine, threshold=threshold, extra={"scaffold": 0})
        infill = [step for step in steps if step.head == "diffusion" and step.committed]
        assert [t.id for step in infill for t in step.committed] == list(result.token_ids)
        assert all(not step.revised and len(step.committed) <= 8 for step in infill)
        assert max(len(step.committed) for step in infill) == rate


def test_same_seed_same_run(engine):
    one, two = run(engine, temperature=1.0, seed=5)[1], run(engine, temperature=1.0, seed=5)[1]
    assert (one.token_ids, one.commit_step) == (two.token_ids, two.commit_step)


def test_an_end_token_ends_the_answer(engine):
    """Somewhere among seeds an end token is written; nothing may follow it."""
    ends = [run(engine, temperature=1.5, seed=seed, max_tokens=60)[1] for seed in range(12)]
    stopped = [result for result in ends if result.finish_reason == "stop"]
    assert stopped
    for result in stopped:
        assert result.token_ids[-1] in engine.tokenizer.eos_ids
        assert not set(result.token_ids[:-1]) & engine.tokenizer.eos_ids


def test_a_stop_string_that_spans_two_blocks(engine):
    _, plain = run(engine, extra={"scaffold": 0})
    text = plain.text
    for start in (5, 6, 7):
        stop = text[start : start + 4]
        steps, result = run(engine, extra={"scaffold": 0}, stop=(stop,))
        assert result.text == text[: text.index(stop)]
        assert "".join(step.text for step in steps) == result.text


def test_cancel_in_the_middle_of_a_block(engine):
    cancel = threading.Event()
    request = GenerateRequest(
        prompt="x", max_tokens=60, decode="diffusion", block=16, threshold=1.0, extra={"commit": "prefix"}
    )
    steps = []
    for step in engine.generate(request, cancel):
        steps.append(step)
        if step.masked and step.head == "diffusion":
            cancel.set()
    assert steps[-1].result.finish_reason == "cancelled"
    assert steps[-2].masked > 0


def test_a_block_larger_than_the_canvas_is_cut_to_it(engine):
    _, result = run(engine, block=128, max_tokens=10, extra={"scaffold": 0})
    assert result.tokens == 10


def test_diffusion_at_the_end_of_the_context(engine):
    ids = tuple(i % 256 for i in range(2040))
    for commit in ("lenient", "prefix", "block"):
        request = GenerateRequest(
            prompt_ids=ids, max_tokens=8, decode="diffusion", block=32, extra={"commit": commit}
        )
        assert complete(engine, request).tokens <= 8


def test_diffusion_without_a_head_is_refused(engine):
    bare = Engine(engine.folder, name="tiny")
    with pytest.raises(RequestError, match="needs a diffusion head"):
        bare.generate(GenerateRequest(prompt="x", decode="diffusion"))


def test_the_flow_is_length_then_scaffold_then_infill(engine):
    steps, result = run(engine, extra={"scaffold": 5})
    heads = [step.head for step in steps]
    assert heads[0] == "length"
    assert heads[1:6] == ["ar"] * 5
    assert set(heads[6:]) == {"diffusion"}
    plain = complete(engine, GenerateRequest(prompt="def f(x):\n", max_tokens=5))
    assert result.token_ids[:5] == plain.token_ids


def test_explain_prints_each_pass(engine):
    out = io.StringIO()
    flow.explain(
        engine,
        GenerateRequest(
            prompt="def f(x):\n",
            max_tokens=30,
            decode="diffusion",
            block=8,
            extra={"scaffold": 4, "commit": "block"},
        ),
        Console(file=out, width=100, force_terminal=False),
    )
    text = out.getvalue()
    assert "canvas of" in text
    assert "shows" in text
    assert "tokens a pass" in text
    assert "\x13" not in text


def test_suites_end_the_scaffold():
    assert flow._opens_a_suite("def f(x):\n")
    assert flow._opens_a_suite("text\nclass A:\n    ")
    assert not flow._opens_a_suite("def f(x):")
    assert not flow._opens_a_suite("x = 1\n")


def test_length_quantiles_and_buckets():
    head = LengthHead(4, (8, 16, 32))
    logits = torch.tensor([0.6, 0.3, 0.1]).log()
    assert [head.quantile(logits, q) for q in (0.3, 0.6, 0.75, 0.9, 0.95, 1.0)] == [3, 8, 11, 16, 23, 32]
    assert [head.bucket(n) for n in (1, 8, 9, 32, 1000)] == [0, 0, 1, 2, 2]
