"""A base configuration on `tiny`, samples, and plans that change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.model.train.tiny_run import RUN, changed, counting

MakePlan = Callable[..., Path]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    """Write a plan with these arms, and keys of the plan replaced by keyword arguments; returns its path."""
    samples = tmp_path / "samples.npz"
    counting(20).save(samples)
    base = changed(
        RUN,
        training={"warmup_steps": 1, "save_every": 2},
        seed_diffusion={"block_size": [8], "stage1_steps": 2, "stage2_steps": 1},
        data={"train": [str(samples)]},
    )
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))

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
