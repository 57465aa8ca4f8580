"""A tiny model for programs under Triton's interpreter, run by plain torch and by our kernels."""

from __future__ import annotations

from pathlib import Path

import torch

from model.base import Base
from model.cuda import CudaRunner
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.runner import Runner
from model.tiny import tiny_folder
from tests.model.tiny_heads import MASK_ID, randomise, small_config


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
