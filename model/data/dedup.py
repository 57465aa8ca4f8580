"""Near-duplicate removal: MinHash over word 5-grams, with `datasketch`."""

from __future__ import annotations

import re
from collections.abc import Iterator

PERMUTATIONS = 64
THRESHOLD = 0.7  # estimated Jaccard similarity from which two functions count as one
SHINGLE = 5
_TOKEN = re.compile(r"\w+|[^\w\s]")


class Deduplicator:
    """Remembers what it has seen; `seen(text)` is True when something at least THRESHOLD alike came
    before."""

    def __init__(self) -> None:
        from datasketch import MinHash, MinHashLSH

        self._minhash = MinHash
        self._index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
        self._count = 0

    def seen(self, text: str) -> bool:
        signature = self._minhash(num_perm=PERMUTATIONS)
        signature.update_batch(sorted(shingles(text)))
        if self._index.query(signature):
            return True
        self._index.insert(self._count, signature)
        self._count += 1
        return False


def shingles(text: str) -> set[bytes]:
    tokens = _TOKEN.findall(text)
    return {" ".join(gram).encode() for gram in _windows(tokens)}


def _windows(tokens: list[str]) -> Iterator[list[str]]:
    for start in range(max(1, len(tokens) - SHINGLE + 1)):
        yield tokens[start : start + SHINGLE]
