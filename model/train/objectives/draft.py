"""All-masked blocks: what a drafter sees. Later predictions weigh less, exp(-j / decay), because they only
count when all before them were right (DFlash, arXiv 2602, uses the same form with a shorter decay)."""

from __future__ import annotations

from typing import Any

import numpy as np


def corrupt(truth_KB: Any, mask_id: int, decay: float) -> tuple[Any, Any]:
    """Inputs with every token but the first masked, and the weight of each state."""
    inputs_KB = np.full_like(truth_KB, mask_id)
    inputs_KB[:, 0] = truth_KB[:, 0]
    weight_B = np.exp(-np.arange(truth_KB.shape[1]) / decay).astype(np.float32)
    return inputs_KB, np.broadcast_to(weight_B, truth_KB.shape)
