"""A base configuration on `tiny`, samples, and plans that change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from model.data.samples import Sample, Samples

BASE: dict[str, Any] = {
    "base": "tiny",
    "diffusion_head": {"r": 4, "alpha": 8},
    "length_head": {"r": 2, "alpha": 4, "longest": 100},
    "sequential_head": {"width": 16},
    "training": {
        "micro_batch_size": 2,
        "row_tokens": 128,
        "draft_tokens": 64,
        "draft_vocabulary": 200,
        "warmup_steps": 1,
        "log_every": 1,
        "save_every": 2,
    },
    "seed_diffusion": {"block_size": [8], "stage1_steps": 2, "stage2_steps": 1},
}
MakePlan = Callable[..., Path]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    """Write a plan with these arms, and keys of the plan replaced by keyword arguments; returns its path."""
    rng = np.random.default_rng(0)
    prompts = [rng.integers(0, 250, 8).astype(np.int32) for _ in range(20)]
    counting = [Sample(p, ((np.arange(20) + i) % 97).astype(np.int32), True) for i, p in enumerate(prompts)]
    samples = tmp_path / "samples.npz"
    Samples(counting).save(samples)
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({**BASE, "data": {"train": [str(samples)]}}))

    def make(arms: dict[str, Any], **keys: Any) -> Path:
        plan = {
            "base": "base.yaml",
            "budget": {"steps": 3},
            "evaluation": {"acceptance": [str(samples)], "restore": [str(samples)], "block": [8], "limit": 4},
            "arms": arms,
            **keys,
        }
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(plan, sort_keys=False))
        return path

    return make
