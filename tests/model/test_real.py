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
@pytest.mark.parametrize("half", [0, 1], ids=["oracle", "lookup"])
def test_verified_and_lookup_equal_ar_on_real_prompts(half: int):
    """All prompts with the heads that are here; drafts mostly right, and copied ones, on half each."""
    if not store.is_pulled(NAME):
        pytest.skip(f"{NAME} is not pulled")
    engine = load(NAME, device="cpu")
    for prompt in PROMPTS[half::2]:
        request = GenerateRequest(messages=(Message("user", prompt),), max_tokens=24, block=8)
        plain = complete(engine, dataclasses.replace(request, decode="ar"))
        engine.draft_with(None, Planner())
        answers = [complete(engine, dataclasses.replace(request, decode="verified"))]
        if half:
            answers.append(complete(engine, dataclasses.replace(request, decode="lookup")))
        else:
            engine.draft_with(OracleDrafter(plain.token_ids, plain.prompt_tokens, 0.8), Planner())
            answers.append(complete(engine, dataclasses.replace(request, decode="verified")))
        for checked in answers:
            assert (checked.token_ids, checked.text) == (plain.token_ids, plain.text)
