"""The loss curve of a run, and a run that was stopped and taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model.train.config import TrainConfig
from model.train.trainer import Trainer


def curve(run: Path) -> list[tuple[int, float]]:
    return [(r["step"], r["loss"]) for r in map(json.loads, (run / "log.jsonl").read_text().splitlines())]


def interrupted(config: TrainConfig, run: Path, step: int) -> Trainer:
    """A run stopped when it has logged `step`, and taken up again by another trainer."""

    def interrupt(record: dict[str, Any]) -> None:
        if record["step"] == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(config, run, interrupt).fit()
    again = Trainer(config, run)
    assert again.resume()
    return again
