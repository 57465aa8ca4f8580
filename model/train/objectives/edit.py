"""Edit corruption: visible tokens that may be wrong. Up to `most` of a block's tokens are inserted, deleted
or substituted and every state still has to predict the original (Seed Diffusion, arXiv 2508.02193: at most
10 %, no carry-over of visible tokens)."""

from __future__ import annotations

from typing import Any

import numpy as np


def corrupt(
    truth_KB: Any, inside_KB: Any, words: Any, mask_id: int, most: float, rng: np.random.Generator
) -> tuple[Any, Any]:
    """Inputs and weights. `words`: ids from which inserted and substituted tokens are drawn, as they occur
    there. The first token of a block and its length stay."""
    K, B = truth_KB.shape
    inputs_KB = truth_KB.copy()
    for k in range(K):
        size = int(inside_KB[k].sum())
        if size < 2:
            continue
        tokens = list(truth_KB[k, 1:size])
        for _ in range(int(np.floor(B * rng.uniform(0, most) + rng.random()))):
            place = int(rng.integers(len(tokens)))
            kind = rng.integers(3)
            if kind == 0:
                tokens[place] = rng.choice(words)
            elif kind == 1:
                tokens.insert(place, rng.choice(words))
            elif len(tokens) > 1:
                del tokens[place]
        tokens = tokens[: size - 1] + [mask_id] * (size - 1 - len(tokens))
        inputs_KB[k, 1:size] = tokens
    return inputs_KB, np.ones((K, B), np.float32)
