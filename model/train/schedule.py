"""Learning rate over a run: linear warm-up, constant, cosine to a small rest."""

from __future__ import annotations

import math

from model.train.config import TrainingConfig


def learning_rate(training: TrainingConfig, step: int, progress: float) -> float:
    """Rate of a step (from 0) at `progress` in [0, 1] of the run (steps done, or time when the run is
    timed)."""
    warm = min(1.0, (step + 1) / training.warmup_steps) if training.warmup_steps else 1.0
    rest = training.final_learning_rate
    if progress <= training.decay_start or training.decay_start == 1:
        factor = 1.0
    else:
        through = min(1.0, (progress - training.decay_start) / (1 - training.decay_start))
        factor = rest + (1 - rest) * 0.5 * (1 + math.cos(math.pi * through))
    return training.learning_rate * warm * factor
