"""Autoregressive decoding: one pass, one token."""

from __future__ import annotations

import math
from collections.abc import Iterator

from model.judge import choose
from model.kvcache import KVCache
from model.request import Step
from model.runner import Runner
from model.session import Session


def decode(runner: Runner, cache: KVCache, session: Session) -> Iterator[Step]:
    """The cache holds the prompt without its last token."""
    last = session.prompt[-1]
    while not session.done:
        if session.cancelled():
            yield session.step(forwards=0)
            return
        position = cache.length[0]
        whole = runner.whole_step(cache, last, session.request)
        if whole is not None:
            ids, logs = [whole[0]], [whole[1]]
            sure = [math.exp(whole[1])]
        else:
            h = runner.run(cache, [runner.clean([last], position)])
            ids, logs, sure = choose(runner.logits(h), position + 1, session.request)
        cache.keep(1)
        last = ids[0]
        tokens, text = session.commit(ids, logs, sure)
        yield session.step(tokens, text)
