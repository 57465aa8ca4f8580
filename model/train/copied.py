"""What copies of prompt and answer would have drafted, at every place of a known answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.samples import Sample
from model.ngrams import Ngrams

COPY_GRAM = 8


def copies(sample: Sample) -> npt.NDArray[np.bool_]:
    """For each answer token: is it inside an 8-gram that occurred earlier in prompt or answer?"""
    ids = np.concatenate((sample.prompt, sample.answer)).tolist()
    found = np.zeros(len(ids), np.bool_)
    first: dict[tuple[int, ...], int] = {}
    for start in range(len(ids) - COPY_GRAM + 1):
        gram = tuple(ids[start : start + COPY_GRAM])
        if gram in first:
            found[start : start + COPY_GRAM] = True
        else:
            first[gram] = start
    return found[len(sample.prompt) :]


@dataclass(frozen=True, slots=True)
class Copied:
    """Copies behind the prompt and the first n answer tokens, n = 0 .. A: the tokens that are right before
    the first miss, and how many tokens the copy follows that occurred before, 0 for no copy [A + 1] int."""

    lengths: npt.NDArray[np.int64]
    match: npt.NDArray[np.int64]


def lookup(sample: Sample, most: int) -> Copied:
    """Copies of `most` tokens as the decoders make them (model.ngrams)."""
    answer: list[int] = sample.answer.tolist()
    text = Ngrams(sample.prompt.tolist())
    lengths = np.zeros(len(answer) + 1, np.int64)
    match = np.zeros(len(answer) + 1, np.int64)
    for known in range(len(answer) + 1):
        text.extend(answer[known - 1 : known] if known else ())
        left = answer[known:]
        draft = text.draft(min(most, len(left)))
        match[known] = draft.match
        lengths[known] = next(
            (i for i, (t, true) in enumerate(zip(draft.tokens, left, strict=False)) if t != true),
            len(draft.tokens),
        )
    return Copied(lengths, match)
