"""A tiny base, samples that can be learned, and configurations that train in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.samples import Sample, Samples
from model.train.config import TrainConfig


@pytest.fixture
def samples() -> Samples:
    """Random prompts, answers that count upwards: a next token follows from the last one."""
    rng = np.random.default_rng(0)
    items = []
    for i in range(60):
        prompt = rng.integers(0, 250, rng.integers(4, 20)).astype(np.int32)
        answer = ((np.arange(rng.integers(20, 50)) + i) % 97).astype(np.int32)
        items.append(Sample(prompt, answer, bool(i % 3), "count"))
    return Samples(items)


@pytest.fixture
def make_config(tmp_path: Path, samples: Samples) -> Callable[..., TrainConfig]:
    """A small configuration; keyword arguments replace keys of its sections."""
    path = tmp_path / "samples.npz"
    samples.save(path)

    def make(**sections: Any) -> TrainConfig:
        raw: dict[str, Any] = {
            "base": "tiny",
            "diffusion_head": {"r": 4, "alpha": 8},
            "length_head": {"r": 2, "alpha": 4, "longest": 100},
            "sequential_head": {"width": 16},
            "training": {
                "micro_batch_size": 2,
                "max_steps": 12,
                "row_tokens": 128,
                "draft_tokens": 64,
                "draft_vocabulary": 200,
                "warmup_steps": 2,
                "learning_rate": 3e-3,
                "log_every": 1,
                "save_every": 4,
                "device": "cpu",
            },
            "seed_diffusion": {"block_size": [8, 16], "stage1_steps": 8, "stage2_steps": 4},
            "data": {"train": [str(path)]},
        }
        for name, section in sections.items():
            raw[name] = {**raw.get(name, {}), **section} if isinstance(section, dict) else section
        return TrainConfig.parse(raw)

    return make
