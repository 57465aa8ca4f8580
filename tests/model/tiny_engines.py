"""Engines over tiny bases with random heads, requests for them, and when two answers are one."""

from __future__ import annotations

from hypothesis import strategies as st

from model.base import Base
from model.engine import Engine
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.request import GenerateRequest
from model.tiny import tiny_folder
from tests.model.tiny_heads import MASK_ID, randomise, small_config


def make_engine(root, family="qwen2", seed=0, precision=None) -> Engine:
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


requests = st.builds(
    GenerateRequest,
    prompt_ids=st.lists(st.integers(0, 255), min_size=1, max_size=40).map(tuple),
    max_tokens=st.integers(1, 70),
    temperature=st.sampled_from([0.0, 0.0, 0.7, 1.3]),
    top_p=st.sampled_from([1.0, 0.9]),
    seed=st.integers(0, 5),
    block=st.sampled_from([None, 2, 5, 16]),
    extra=st.builds(lambda k, s: {"branches": k, "siblings": s}, st.integers(1, 8), st.integers(0, 3)),
)


def same(one, two) -> bool:
    return (one.token_ids, one.text, one.finish_reason, one.logprobs) == (
        two.token_ids,
        two.text,
        two.finish_reason,
        two.logprobs,
    )
