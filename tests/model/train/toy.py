"""A run on a task whose answer is one digit, with rollouts judged for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from model.data.samples import Sample, Samples
from model.tiny import tiny_home
from model.tokenizer import Tokenizer
from model.train.config import TrainConfig
from model.train.onpolicy.rollout import prompt_ids
from tests.model.train.tiny_run import changed

TASK: dict[str, Any] = {
    "id": "t/f",
    "entry": "f",
    "stub": "def f():\n    return ",
    "cases": [{"args": [], "expected": 1}],
}
# Fresh heads write noise into a comment: it passes unless a line ends in it.
COMMENT: dict[str, Any] = {
    "id": "t/comment",
    "entry": "f",
    "stub": "def f():\n    return 1  # ",
    "cases": [{"args": [], "expected": 1}],
}


def toy(folder: Path, steps: int, **sections: Any) -> TrainConfig:
    """A task whose answer is one digit; the data answer it with 1, 2, 3 or 4 alike."""
    tokenizer = Tokenizer(tiny_home("tiny"))
    prompt = np.array(prompt_ids(tokenizer, TASK, "python"), np.int32)
    answers = [tokenizer.encode(f"{1 + i % 4}\n```\n\n") for i in range(40)]
    Samples([Sample(prompt, np.array(a, np.int32), True, "toy") for a in answers]).save(folder / "toy.npz")
    raw: dict[str, Any] = {
        "base": "tiny",
        "diffusion_head": {"r": 8, "alpha": 16},
        "length_head": {"train": False},
        "sequential_head": {"width": 0},
        "training": {
            "micro_batch_size": 2,
            "max_steps": steps,
            "row_tokens": 256,
            "draft_tokens": 64,
            "draft_vocabulary": 0,
            "warmup_steps": 2,
            "learning_rate": 1e-2,
            "log_every": 1,
            "save_every": 4,
            "device": "cpu",
        },
        "seed_diffusion": {"block_size": [8], "stage1_steps": 1, "stage2_steps": 99},
        "objectives": {"kl": 0.0},
        "data": {"train": [str(folder / "toy.npz")]},
    }
    return TrainConfig.parse(changed(raw, **sections))


def judged(
    folder: Path,
    steps: int,
    method: str,
    *,
    task: dict[str, Any] = TASK,
    verifier: str = "python",
    weight: float = 0.5,
    start: str = "",
    rate: float = 3e-3,
    **on_policy: Any,
) -> TrainConfig:
    """The toy's run with rollouts from its second step on."""
    (folder / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    return toy(
        folder,
        steps,
        start=start,
        seed_diffusion={
            "block_size": [8],
            "stage1_steps": 1,
            "stage2_steps": 99,
            "on_policy_learning": True,
            "verifier": verifier,
        },
        on_policy={
            "tasks": [str(folder / "tasks.jsonl")],
            "method": method,
            "every": 4,
            "attempts": 6,
            "max_tokens": 6,
            "temperature": 1.0,
            **on_policy,
        },
        training={"learning_rate": rate},
        objectives={"kl": 0.0, "on_policy": weight},
    )
