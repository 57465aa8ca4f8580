"""How far the answers of a changed AR decoder are those of the base."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from model.data.samples import Samples


def agreement(theirs: Samples, own: Samples) -> dict[str, float]:
    """same: share of answers that are equal; kept: mean share of the base's answer before the first token
    that differs. Both hold answers to the same prompts, in order."""
    same, kept = [], []
    for a, b in zip(theirs, own, strict=True):
        size = min(len(a.answer), len(b.answer))
        differ = np.flatnonzero(a.answer[:size] != b.answer[:size])
        same.append(np.array_equal(a.answer, b.answer))
        kept.append((differ[0] if len(differ) else size) / max(1, len(a.answer)))
    return {"same": round(float(np.mean(same)), 4), "kept": round(float(np.mean(kept)), 4)}
