"""Samples that can be learned, and configurations that train in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.data.samples import Samples
from model.train.config import TrainConfig
from tests.model.train.tiny_run import RUN, changed, counting


@pytest.fixture
def samples() -> Samples:
    return counting(60)


@pytest.fixture
def make_config(tmp_path: Path, samples: Samples) -> Callable[..., TrainConfig]:
    """A small configuration; keyword arguments replace keys of its sections."""
    path = tmp_path / "samples.npz"
    samples.save(path)
    raw = changed(
        RUN,
        training={
            "max_steps": 12,
            "warmup_steps": 2,
            "learning_rate": 3e-3,
            "save_every": 4,
        },
        seed_diffusion={"block_size": [8, 16], "stage1_steps": 8, "stage2_steps": 4},
        data={"train": [str(path)]},
    )

    def make(**sections: Any) -> TrainConfig:
        return TrainConfig.parse(changed(raw, **sections))

    return make
