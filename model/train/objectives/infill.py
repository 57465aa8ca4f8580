"""Masked infill at a ratio drawn for each block, in complementary pairs.

The second block of a pair masks what the first one shows, so that every token is a target once (Fast-dLLM
v2, arXiv 2509.26328). The token shift is kept: the state before a masked token carries its loss, and the
last state of a block, whose token lies outside, always does.

A decoder that commits what it is sure of meets another picture than scattered masks: a visible beginning and
masks, mostly, behind it. A share `prefix` of the blocks looks like that.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def corrupt(
    truth_KB: Any,
    mask_id: int,
    low: float,
    high: float,
    complementary: bool,
    rng: np.random.Generator,
    prefix: float = 0.0,
) -> tuple[Any, Any]:
    """Inputs and weights; with `complementary`, blocks k and k + K / 2 form a pair."""
    K, B = truth_KB.shape
    drawn = K // 2 if complementary else K
    ratio_K1 = rng.uniform(low, high, (drawn, 1))
    masked_KB = rng.random((drawn, B)) < ratio_K1
    masked_KB[:, 0] = False
    if prefix and B > 2:
        begins_K1 = rng.random((drawn, 1)) < prefix
        visible_K1 = rng.integers(2, B, (drawn, 1))
        tail_KB = rng.random((drawn, B)) < rng.uniform((low + high) / 2, high, (drawn, 1))
        masked_KB = np.where(begins_K1, tail_KB & (np.arange(B) >= visible_K1), masked_KB)
    forced_K = rng.integers(1, B, drawn)
    masked_KB[np.arange(drawn), forced_K] = True
    if complementary:
        other_KB = ~masked_KB
        other_KB[:, 0] = False
        masked_KB = np.concatenate((masked_KB, other_KB))
    inputs_KB = np.where(masked_KB, mask_id, truth_KB)
    weight_KB = np.ones((K, B), np.float32)
    weight_KB[:, :-1] = masked_KB[:, 1:]
    return inputs_KB, weight_KB
