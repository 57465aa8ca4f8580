"""The draft vocabulary: the tokens a drafter may propose. A fifth of the rows covers nearly all of the
text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from model.data.samples import Samples


def commonest(samples: Samples, size: int, vocab: int) -> npt.NDArray[np.int64]:
    """Ids of the `size` commonest tokens of prompts and answers, rising; ties and unseen ids by id."""
    counts = np.zeros(vocab, np.int64)
    for sample in samples:
        for part in (sample.prompt, sample.answer):
            np.add.at(counts, part, 1)
    order = np.lexsort((np.arange(vocab), -counts))
    return np.sort(order[: min(size, vocab)]).astype(np.int64)


def coverage(samples: Samples, ids: npt.NDArray[np.int64]) -> float:
    """Share of the answers' tokens that are in `ids`."""
    tokens = np.concatenate([sample.answer for sample in samples] or [np.zeros(0, np.int32)])
    return float(np.isin(tokens, ids).mean()) if len(tokens) else 0.0
