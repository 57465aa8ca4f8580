"""`LastCache`: the KV cache that the last answer left, for a next prompt that starts alike.

A prompt that starts like the last one is read from where they part; that changes no bit of the answer
(model.kvcache). One cache, not many: an agent's turns extend one conversation, and a cache is large.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.kvcache import KVCache
from model.plan import WIDEST
from model.runner import Runner


class LastCache:
    def __init__(self) -> None:
        self._kept: tuple[Runner, Sequence[int], KVCache] | None = None

    def put(self, runner: Runner, ids: Sequence[int], cache: KVCache) -> None:
        """Keep a cache that holds a beginning of `ids`."""
        self._kept = runner, ids, cache

    def drop(self) -> None:
        self._kept = None

    def take(self, runner: Runner, prompt: Sequence[int], capacity: int) -> KVCache:
        """A cache of the runner for `capacity` tokens that holds as much of the prompt (without its last
        token) as the kept one does; that one is kept no more."""
        if self._kept is not None:
            owner, known, cache = self._kept
            self._kept = None
            if owner is runner and cache.capacity >= capacity + WIDEST:
                cache.truncate(_common(known[: cache.length[0]], prompt[:-1]))
                return cache
        return runner.cache(capacity)


def _common(one: Sequence[int], two: Sequence[int]) -> int:
    """Length of the common start."""
    size = min(len(one), len(two))
    return next((i for i in range(size) if one[i] != two[i]), size)
