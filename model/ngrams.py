"""Where did the last tokens occur before, and what followed them then? Drafts without a model.

    text = Ngrams(prompt)
    text.extend(answer_so_far)
    draft = text.draft(15)

Prompt lookup decoding (Saxena 2023, github.com/apoorvumang/prompt-lookup-decoding; also in transformers'
assisted generation): the longest run of last tokens that occurred before, and what followed it, is the draft.
Here the newest occurrence counts, over the prompt and the answer alike, and a draft that reaches the end of
the text goes on with its own beginning, as in LZ77 (Ziv, Lempel 1977): a repetition continues.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

LONGEST = 8
"""Tokens of a match at most. On HumanEval answers 8 drafts a little better than 3 (docs/log.md)."""


class Draft(NamedTuple):
    """tokens: what may follow. match: how many of the last tokens occurred before, 0 when none did."""

    tokens: tuple[int, ...]
    match: int


class Ngrams:
    """An index of all n-grams, n = 1 to `longest`, of a text that grows: where each ended last."""

    def __init__(self, ids: Iterable[int] = (), longest: int = LONGEST) -> None:
        self._ids: list[int] = []
        self._ends: list[dict[tuple[int, ...], int]] = [{} for _ in range(longest)]
        self.extend(ids)

    def __len__(self) -> int:
        return len(self._ids)

    def extend(self, ids: Iterable[int]) -> None:
        for token in ids:
            # Only now do the n-grams that end here have a token that follows them.
            end = len(self._ids)
            for n, ends in enumerate(self._ends[:end], start=1):
                ends[tuple(self._ids[end - n :])] = end
            self._ids.append(token)

    def draft(self, most: int) -> Draft:
        """Up to `most` tokens that may follow: all of them, or none when the last token is new."""
        end = len(self._ids)
        for n in range(min(len(self._ends), end), 0, -1):
            source = self._ends[n - 1].get(tuple(self._ids[end - n :]))
            if source is not None:
                period = end - source
                return Draft(tuple(self._ids[source + i % period] for i in range(most)), n)
        return Draft((), 0)
