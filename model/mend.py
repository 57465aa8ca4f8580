"""`mend`: rewrite the tokens of a text that two heads hold for wrong; the AR head judges.

    ids = mend(runner, prompt, damaged, limit)

Block by block, left to right. One pass shows a block to both heads: the AR head says of each place what the
text before it lets it expect, the diffusion head what the block around it does. A token is in doubt where
another one has LEAST times its probability by both together (a product of experts, Hinton 2002). The leftmost
one in doubt is tried: it is rewritten if the AR head then finds the block and the AHEAD tokens behind it more
likely, and left for good if not. So a rewriting must make sense of what follows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.kvcache import KVCache
from model.runner import Runner

LEAST = 20.0
AHEAD = 8
BLOCK = 32


@dataclass(frozen=True, slots=True)
class Looked:
    """What a pass says of a block's tokens: the most likely one in each place, by both heads [n]; how much
    more likely it is than the one that is there, in nats [n]; log probability of block and tokens ahead, by
    the AR head.
    """

    best: list[int]
    gain: list[float]
    whole: float


def mend(
    runner: Runner, prompt: Sequence[int], ids: Sequence[int], limit: int, *, block: int = BLOCK
) -> list[int]:
    """The text behind `prompt`, as long as it was. limit: ids from here on are never written."""
    text = [*prompt, *ids]
    cache = runner.cache(len(text))
    step = block - 1  # the last state of a block predicts a token that the block does not show
    for begin in range(len(prompt), len(text), step):
        end = min(begin + step, len(text))
        runner.prefill(cache, text[cache.length[0] : begin - 1])
        settled: set[int] = set()
        found = _look(runner, cache, text, begin, end, limit)
        while True:
            doubted = (
                begin + i
                for i, gain in enumerate(found.gain)
                if gain > math.log(LEAST) and begin + i not in settled
            )
            place = next(doubted, None)
            if place is None:
                break
            before, text[place] = text[place], found.best[place - begin]
            tried = _look(runner, cache, text, begin, end, limit)
            settled.add(place)
            if tried.whole > found.whole:
                found = tried
            else:
                text[place] = before
    return text[len(prompt) :]


def _look(runner: Runner, cache: KVCache, text: Sequence[int], begin: int, end: int, limit: int) -> Looked:
    """The cache holds the text before the token in front of the block."""
    start = begin - 1
    line, shown = text[start : end + AHEAD], text[start:end]
    parts = [runner.clean(line, start), runner.block(shown, [False] * len(shown), start, 1)]
    logits_TV = runner.logits(runner.run(cache, parts))[:, :limit].float()
    log_TV = logits_TV.log_softmax(-1)
    n, follow = end - begin, torch.tensor(line[1:], device=runner.device)
    ar_TV = log_TV[: len(line) - 1]
    said = ar_TV.gather(1, follow[:, None])[:, 0]
    both_NV = ar_TV[:n] + log_TV[len(line) : len(line) + n]
    value, best = both_NV.max(-1)
    here = both_NV.gather(1, follow[:n, None])[:, 0]
    return Looked(best.tolist(), (value - here).tolist(), float(said.sum()))
