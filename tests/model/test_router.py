"""More heads than three: several of one role, and who picks among them."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from model.base import Base
from model.engine import Engine
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.request import GenerateRequest, complete
from model.roles import Role
from model.router import choose
from model.tiny import tiny_folder
from tests.model.tiny_heads import MASK_ID, randomise, small_config

INFILL = ("diffusion_head", "tests_head", "docs_head")


@pytest.fixture(scope="module", params=["static", "auto"])
def engine(request, tmp_path_factory):
    """Five heads, three of them for drafts; the router of `auto` tells two prompts apart."""
    root = tmp_path_factory.mktemp(request.param)
    folder = tiny_folder(root / "tiny", context=600)
    base, bare = Base.load(folder), Engine(folder, name="tiny")
    raw = small_config().as_dict()
    for name in INFILL[1:]:
        raw["heads"][name] = dict(raw["heads"]["diffusion_head"])
    raw["router"] = {"policy": request.param}
    heads = HeadSet.create(base, HeadsConfig.parse(raw, "test"), MASK_ID)
    randomise(base, heads)
    if heads.router is not None:
        states = [state_of(base, heads, bare, text) for text in ("one", "two")]
        with torch.no_grad():
            heads.router.weight.zero_()
            difference = states[1] - states[0]
            for name, sign in (("tests_head", -1), ("docs_head", 1)):
                heads.router.weight[heads.router.names.index(name)] = sign * difference
    heads.save(
        root / "heads", base, base_sha256=bare.weights.base_sha256, tokenizer_sha256=bare.tokenizer.sha256
    )
    return Engine(folder, name="tiny", heads=root / "heads")


def state_of(base, heads, engine, text):
    from model.runner import Runner

    runner, ids = Runner(base, heads), engine.tokenizer.encode(text)
    return runner.run(runner.cache(50), [runner.clean(ids, 0)])[-1].float()


def test_the_policy_picks_the_infill_head(engine):
    picked = []
    for prompt in ("one", "two"):
        request = GenerateRequest(prompt=prompt, max_tokens=20, block=8)
        plain = complete(engine, request)
        checked = complete(engine, dataclasses.replace(request, decode="verified"))
        assert plain.token_ids == checked.token_ids
        complete(engine, dataclasses.replace(request, decode="diffusion", extra={"scaffold": 0}))
        picked.append(engine.weights.runner.head_of[Role.DRAFT])
    auto = engine.weights.heads.router is not None
    assert picked == (["tests_head", "docs_head"] if auto else ["diffusion_head"] * 2)
    assert engine.weights.runner.head_of[Role.CLEAN] == "ar_head"


def test_without_a_prompt_the_first_head_of_a_role_serves(engine):
    complete(engine, GenerateRequest(prompt="x", max_tokens=1, decode="verified"))
    assert choose(engine.weights.heads)[Role.DRAFT] == "diffusion_head"
    assert choose(None) == {}
