"""Small random heads for a tiny base, and the states of a base without a cache."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F

from model.base import Base
from model.headconfig import HeadsConfig
from model.heads import HeadSet

CONFIGS = Path(__file__).parents[2] / "configs"
MASK_ID = 259


def small_config(**changes) -> HeadsConfig:
    raw = HeadsConfig.read(CONFIGS / "heads-default.yaml").as_dict()
    for head in raw["heads"].values():
        head["r"], head["alpha"] = 4, 8
        head["target_modules"] = ["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"]
    raw["sequential"]["width"] = 16
    return HeadsConfig.parse(raw | changes, "test")


def randomise(base: Base, heads: HeadSet, seed: int = 0) -> None:
    """Give every adapter and small head weights that matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in heads.config.heads:
            for parameter in heads.trained_parameters(base, name):
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
        for parameter in heads.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))


class Causal:
    """Plain causal attention, no cache."""

    def layer(self, index: int):
        return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def states(base: Base, ids: torch.Tensor, route=()) -> torch.Tensor:
    positions = torch.arange(ids.shape[1])[None].expand(ids.shape[0], -1)
    with torch.no_grad():
        return base(base.embed(ids), positions, Causal(), route)
