"""A short run of `model.train` that goes on from the heads in use, with an AR head beside them.

Until the first round the AR head is the base itself. A round gives it a LoRA (B = 0: still the base), and
trains it together with the drafting head on the kept answers, so that what is drafted follows what is said.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.errors import FinetuneError
from agent.finetune.selection import Candidate
from model.data.samples import Sample, Samples

if TYPE_CHECKING:
    from model.train.config import TrainConfig

KIND = "agent"
_NAMES = {"clean": "ar_head", "draft": "diffusion_head", "length": "length_head"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """epochs over the rows; seconds: stop sooner (0: no limit). replay: earlier rows for each new one, at
    most. ar_rank: of the AR head's LoRA, when it has none yet. next_token: weight of the AR head's loss
    beside the drafts'."""

    epochs: float = 3.0
    seconds: float = 0.0
    learning_rate: float = 1e-4
    replay: float = 0.25
    ar_rank: int = 64
    next_token: float = 1.0
    seed: int = 1


def samples(kept: Iterable[Candidate], meta: dict[str, Any]) -> Samples:
    """One training row for each kept trajectory: the call that wrote its program."""
    items = [
        Sample(np.array(c.prompt_ids, np.int32), np.array(c.answer_ids, np.int32), True, KIND) for c in kept
    ]
    return Samples(items, meta)


def replayed(new: Samples, earlier: Iterable[Path], share: float, seed: int) -> Samples:
    """`new` with some rows of earlier rounds, at most `share` times as many. Rows of another tokenizer are
    left out."""
    old = []
    for path in sorted(earlier):
        loaded = Samples.load(path)
        if loaded.meta.get("tokenizer") == new.meta.get("tokenizer"):
            old += loaded.items
    count = min(len(old), round(share * len(new)))
    chosen = random.Random(seed).sample(old, count)
    return Samples([*new.items, *chosen], {**new.meta, "replayed": count})


def configuration(
    base: str, heads: Path | None, data: Path, recipe: Recipe, device: str, tokens: int
) -> TrainConfig:
    """The configuration of a round's run, which goes on from `heads` (None: from new ones). tokens: clean
    tokens of all rows. Raises FinetuneError for heads that are not the project's three."""
    from model.heads import read_record
    from model.train.config import TrainConfig

    cuda = device.startswith("cuda")
    row, rows = (2048, 2) if cuda else (768, 1)
    raw: dict[str, Any] = {
        "base": base,
        "objectives": {
            "next_token": recipe.next_token,
            "scaffold": 1.0,
            "draft": 0.8,
            "infill": 0.2,
            "edit": 0.1,
        },
        "training": {
            "micro_batch_size": rows,
            "row_tokens": row,
            "draft_tokens": 4096 if cuda else 512,
            "max_steps": max(1, math.ceil(recipe.epochs * tokens / (0.92 * row * rows))),
            "seconds": recipe.seconds,
            "learning_rate": recipe.learning_rate,
            "warmup_steps": 10,
            "decay_start": 0.3,
            "device": "cuda" if cuda else "cpu",
            "log_every": 10 if cuda else 1,
            "save_every": 200 if cuda else 10,
            "seed": recipe.seed,
        },
        "seed_diffusion": {"block_size": [32, 16]},
        "data": {"train": [str(data)]},
        "ar_head": {"r": recipe.ar_rank, "alpha": 2.0 * recipe.ar_rank, "train": True},
    }
    if heads is not None:
        config = read_record(heads)["config"]
        raw["start"] = str(heads)
        for name, head in config["heads"].items():
            if _NAMES.get(head["role"]) != name:
                raise FinetuneError(f"{heads}: head {name} is not one that 'agent finetune' can train")
            raw[name] = {key: head[key] for key in ("r", "alpha", "target_modules")}
        raw["sequential_head"] = {"width": config["sequential"]["width"]}
        raw.setdefault("length_head", {"train": False})
        if "length_head" in config["heads"]:
            raw["length_head"] |= config["length"]
    return TrainConfig.parse(raw)


def train(config: TrainConfig, run: Path, on_log: Callable[[dict[str, Any]], None]) -> Path:
    """Train, or go on where an interrupted run stopped; returns the folder of the new heads. An interrupt
    saves a checkpoint first."""
    from model.train.trainer import Trainer

    if (run / "heads" / "heads.json").is_file():
        return run / "heads"
    trainer = Trainer(config, run, on_log)
    trainer.resume()
    try:
        trainer.fit()
    except KeyboardInterrupt:
        trainer.save()
        raise
    return run / "heads"
