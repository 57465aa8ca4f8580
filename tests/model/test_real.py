"""The real 0.5B: verified equals ar, with the heads that are here or with useless and oracle drafts, and so
does prompt lookup.
"""

from __future__ import annotations

import dataclasses

import pytest

from model import store
from model.bench_rows.decode import PROMPTS, OracleDrafter
from model.load import load
from model.plan import Planner
from model.request import GenerateRequest, Message, complete

NAME = "qwen2.5-coder-0.5b"


@pytest.mark.real
@pytest.mark.timeout(600)
def test_verified_and_lookup_equal_ar_on_real_prompts():
    if not store.is_pulled(NAME):
        pytest.skip(f"{NAME} is not pulled")
    engine = load(NAME, device="cpu")
    for prompt in PROMPTS:
        request = GenerateRequest(messages=(Message("user", prompt),), max_tokens=24)
        plain = complete(engine, dataclasses.replace(request, decode="ar"))
        for rate in (None, 0.8):
            oracle = rate and OracleDrafter(plain.token_ids, plain.prompt_tokens, rate)
            engine.draft_with(oracle or None, Planner())
            checked = complete(engine, dataclasses.replace(request, decode="verified", block=8))
            assert checked.token_ids == plain.token_ids
            assert checked.text == plain.text
        copied = complete(engine, dataclasses.replace(request, decode="lookup", block=8))
        assert (copied.token_ids, copied.text) == (plain.token_ids, plain.text)
