"""A tiny model for programs under Triton's interpreter, run by plain torch and by our kernels, and what it is
asked.
"""

from __future__ import annotations

from pathlib import Path

import torch

from model.base import Base
from model.cuda import CudaRunner
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.judge import choose
from model.kvcache import KVCache
from model.request import GenerateRequest
from model.runner import Runner
from model.tiny import tiny_folder
from tests.model.tiny_heads import MASK_ID, randomise, small_config

PROMPT = torch.randint(0, 256, (20,), generator=torch.Generator().manual_seed(0)).tolist()
GREEDY = GenerateRequest(prompt_ids=tuple(PROMPT), max_tokens=9)
SAMPLED = GenerateRequest(prompt_ids=tuple(PROMPT), max_tokens=9, temperature=0.8, top_p=0.9, seed=7)
REQUESTS = {"greedy": GREEDY, "sampled": SAMPLED}


def prefilled(runner: Runner) -> KVCache:
    cache = runner.cache(100)
    runner.prefill(cache, PROMPT[:-1])
    return cache


def answer_of(slow: Runner, request: GenerateRequest, count: int) -> tuple[list[int], list[float]]:
    """Tokens of `ar` and their log probabilities, by plain torch."""
    cache, last = prefilled(slow), PROMPT[-1]
    tokens, logs = [], []
    for _ in range(count):
        states = slow.run(cache, [slow.clean([last], cache.length[0])])
        cache.keep(1)
        (last,), (log,), _ = choose(slow.logits(states), cache.length[0], request)
        tokens.append(last)
        logs.append(log)
    return tokens, logs


def make_runners(folder: Path) -> tuple[Runner, CudaRunner]:
    base = Base.load(tiny_folder(folder / "tiny", layers=1, context=600))
    raw = small_config().as_dict()
    for head in raw["heads"].values():
        head["r"], head["target_modules"] = 64, ["q_proj", "k_proj", "v_proj", "o_proj"]
    raw["sequential"] = {"width": 64, "candidates": 16}
    heads = HeadSet.create(base, HeadsConfig.parse(raw, "test"), MASK_ID)
    randomise(base, heads)
    with torch.no_grad():
        heads.hint.zero_()  # fused steps take no hints
        for name in heads.config.heads:
            for parameter in heads.trained_parameters(base, name):
                parameter.mul_(0.3)
    return Runner(base, heads), CudaRunner(base, heads)
