"""A training run on `tiny` that takes a second: its configuration and samples that can be learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.data.samples import Sample, Samples

RUN: dict[str, Any] = {
    "base": "tiny",
    "diffusion_head": {"r": 4, "alpha": 8},
    "length_head": {"r": 2, "alpha": 4, "longest": 100},
    "sequential_head": {"width": 16},
    "training": {
        "micro_batch_size": 2,
        "row_tokens": 128,
        "draft_tokens": 64,
        "draft_vocabulary": 200,
        "log_every": 1,
        "device": "cpu",
    },
}

SAME = {"train": True, "r": 4, "alpha": 8}
SHARED: dict[str, Any] = {
    "shared_head": True,
    "ar_head": SAME,
    "diffusion_head": SAME,
    "length_head": SAME,
    "training": {"max_steps": 4},
}
FULL: dict[str, Any] = {
    "full_fine_tuning": {"train": True, "learning_rate": 1e-3},
    "diffusion_head": {"r": 0},
    "length_head": {"r": 0},
    "training": {"max_steps": 4},
}


def changed(raw: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """The configuration with keys of its sections replaced, or whole sections that are no mapping."""
    new = dict(raw)
    for name, section in sections.items():
        new[name] = {**new.get(name, {}), **section} if isinstance(section, dict) else section
    return new


def counting(count: int) -> Samples:
    """Random prompts, answers that count upwards: a next token follows from the last one."""
    rng = np.random.default_rng(0)
    items = []
    for i in range(count):
        prompt = rng.integers(0, 250, rng.integers(4, 20)).astype(np.int32)
        answer = ((np.arange(rng.integers(20, 50)) + i) % 97).astype(np.int32)
        items.append(Sample(prompt, answer, bool(i % 3), "count"))
    return Samples(items)
