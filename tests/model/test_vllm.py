"""vLLM behind the common interface. The real one runs where it is installed: TRIHEAD_TEST_VLLM=1 pytest this
file.
"""

from __future__ import annotations

import importlib.util
import os
import threading

import pytest

from model.errors import ContextOverflowError, ModelError, RequestError
from model.load import load
from model.request import GenerateRequest, Message, Model, complete

installed = importlib.util.find_spec("vllm") is not None
wanted = os.environ.get("TRIHEAD_TEST_VLLM") == "1"


@pytest.mark.skipif(installed, reason="vLLM is installed")
def test_missing_says_what_to_install() -> None:
    with pytest.raises(ModelError, match=r"install trihead\[vllm\]"):
        load("vllm:tiny")


@pytest.fixture(scope="module")
def real() -> Model:
    if not wanted:
        pytest.skip("opt-in: set TRIHEAD_TEST_VLLM=1 in an environment with vLLM")
    return load("vllm:qwen2.5-coder-0.5b", context=2048)


@pytest.mark.real
def test_vllm_writes_code(real: Model) -> None:
    request = GenerateRequest(prompt="def is_even(n):\n    return", max_tokens=12, stop=("\n",))
    steps = list(real.generate(request))
    result = steps[-1].result
    assert result is not None
    assert "n % 2 == 0" in result.text
    assert result.finish_reason == "stop"
    assert "".join(step.text for step in steps) == result.text
    assert len(result.token_ids) == len(result.logprobs) == len(result.commit_step) == result.tokens


@pytest.mark.real
def test_vllm_equals_our_engine_at_the_start(real: Model) -> None:
    """Kernels round differently, so greedy answers may part later; the first tokens agree."""
    request = GenerateRequest(
        messages=(Message("user", "Write a Python function add(a, b)."),), max_tokens=16
    )
    ours = complete(load("qwen2.5-coder-0.5b", heads="none"), request)
    theirs = complete(real, request)
    assert ours.prompt_ids == theirs.prompt_ids
    assert ours.token_ids[:8] == theirs.token_ids[:8]


@pytest.mark.real
def test_vllm_refuses_and_cancels(real: Model) -> None:
    with pytest.raises(ContextOverflowError):
        real.generate(GenerateRequest(prompt="x", max_tokens=4096))
    with pytest.raises(RequestError, match="`ar` only"):
        real.generate(GenerateRequest(prompt="x", decode="diffusion"))
    cancel = threading.Event()
    steps = real.generate(GenerateRequest(prompt="def f(", max_tokens=64), cancel)
    next(steps)
    cancel.set()
    result = next(steps).result
    assert result is not None
    assert result.finish_reason == "cancelled"
