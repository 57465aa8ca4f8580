"""The `on_policy` section of a training configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.train.reading import ConfigError, positive, share


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPolicyConfig:
    """tasks: JSON lines as `agent tasks build` writes them. method: `surrogate`, a policy gradient whose
    reward counts length by edit distances, or `best_of_k`, imitation of the best attempt. every: steps
    between rounds; tasks_per_round: tasks tried in one; attempts: of each task. temperature, threshold,
    max_tokens: of decoding. clip: how far a token's probability may move from the rollout's before it is
    left alone (`surrogate`). rows: rows of the micro batch that hold attempts. cut_early: a prefix that
    has already failed ends the attempt."""

    tasks: tuple[Path, ...] = ()
    method: Literal["surrogate", "best_of_k"] = "surrogate"
    every: int = 200
    tasks_per_round: int = 16
    attempts: int = 4
    temperature: float = 0.8
    threshold: float = 0.9
    max_tokens: int = 256
    clip: float = 0.2
    rows: int = 1
    cut_early: bool = True

    def check(self, where: str) -> None:
        positive(
            where,
            every=self.every,
            tasks_per_round=self.tasks_per_round,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            threshold=self.threshold,
            clip=self.clip,
            rows=self.rows,
        )
        share(where, threshold=self.threshold)
        if self.attempts < 2:
            raise ConfigError(f"{where}.attempts must be 2 or more: an attempt is compared with the others")
