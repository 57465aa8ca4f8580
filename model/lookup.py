"""Prompt lookup decoding: drafts are copies of prompt and answer, the AR head decides. It needs no heads.

A pass at cache length n, with pending token t and a draft d1..dm (model.ngrams):

    CLEAN   t d1 d2 .. dm                  states predict positions n+1 .. n+m+1: y0 .. ym

d1..da are accepted while d(i+1) = y(i), as in `verified`, and ya comes with them. y is computed row for row
as `ar` computes it, and sampled with noise of the position alone, so the answer is that of `ar`, token for
token, greedy or sampled (model.verified, model.sampling).

How many draft tokens a pass verifies follows from what a pass of that width costs on this device and how
often such copies were right so far; where none pays the pass is that of `ar`. That decides how fast an answer
comes, never which.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from model.calibrate import CONTEXT, curve
from model.judge import choose
from model.kvcache import KVCache
from model.ngrams import LONGEST, Draft, Ngrams
from model.plan import UNMEASURED, Curve
from model.request import GenerateRequest, Step
from model.roles import Role
from model.runner import Runner
from model.session import Session
from model.verified import agreed

WIDTHS = (1, 2, 4, 8, 16, 24, 32, 48, 64)
"""Tokens of a pass: sizes that a GPU has graphs for (model.cuda)."""
# Chance that the first token of a draft is right after a match of 1, 2, .. 8 tokens; that a later one is,
# when so many tokens before it were copied. Of greedy chat answers to HumanEval (docs/log.md).
_FIRST = (0.26, 0.33, 0.46, 0.7, 0.75, 0.8, 0.85, 0.97)
_LATER = (0.66, 0.73, 0.87, 0.91, 0.93, 0.94, 0.97, 0.98)
_WEIGHT = 8.0


class Pace:
    """How many draft tokens to verify; learns from what the passes of one answer accepted.

    Of one answer only: a run that is resumed goes on as if it had never stopped.
    """

    def __init__(self, curve: Curve = UNMEASURED) -> None:
        self._curve = curve
        self._first = [[_WEIGHT * rate, _WEIGHT] for rate in _FIRST]
        self._later = [[_WEIGHT * rate, _WEIGHT] for rate in _LATER]

    def _counts(self, match: int, offset: int) -> list[float]:
        """(right, seen) of the draft token at `offset` after a match of `match` tokens."""
        if offset == 0:
            return self._first[min(match, LONGEST) - 1]
        return self._later[min(match + offset - 1, LONGEST) - 1]

    def length(self, draft: Draft) -> int:
        """Draft tokens with the most expected tokens a millisecond; 0 is plain decoding."""
        best, value = 0, 1 / self._curve(1)
        chance, expected = 1.0, 1.0
        for count in range(1, min(len(draft.tokens), WIDTHS[-1] - 1) + 1):
            right, seen = self._counts(draft.match, count - 1)
            chance *= right / seen
            expected += chance
            if 1 + count in WIDTHS or count == len(draft.tokens):
                speed = expected / self._curve(1 + count)
                if speed > value:
                    best, value = count, speed
        return best

    def observe(self, draft: Draft, ids: Sequence[int]) -> None:
        """A pass said that `ids` follow: what of the draft was right, verified or not."""
        for offset, (drafted, true) in enumerate(zip(draft.tokens, ids, strict=False)):
            counts = self._counts(draft.match, offset)
            counts[0] += drafted == true
            counts[1] += 1
            if drafted != true:
                return


def decode(runner: Runner, cache: KVCache, session: Session, pace: Pace) -> Iterator[Step]:
    """The cache holds the prompt without its last token. `request.block` fixes the width of passes."""
    request = session.request
    text = Ngrams(session.prompt)
    pending = session.prompt[-1]
    draft, length = _draft(text, pace, request, session.left)
    while not session.done:
        if session.cancelled():
            yield session.step(forwards=0)
            return
        start = cache.length[0]
        line = [pending, *draft.tokens[:length]]
        whole = runner.whole_step(cache, pending, request) if not length else None
        if whole is not None:
            ids, logs, sure = [whole[0]], [whole[1]], [math.exp(whole[1])]
        else:
            states = runner.run(cache, [runner.clean(line, start)])
            ids, logs, sure = choose(runner.logits(states), start + 1, request)
        accepted = agreed(line, ids)
        known = ids[: accepted + 1]
        pace.observe(draft, known)
        tokens, shown = session.commit(known, logs[: accepted + 1], sure[: accepted + 1])
        cache.keep(len(tokens))
        pending = known[-1]
        text.extend(known)
        draft, length = _draft(text, pace, request, session.left)
        yield session.step(tokens, shown, draft=session.drafted(draft.tokens[:length]))


def _draft(text: Ngrams, pace: Pace, request: GenerateRequest, left: int) -> tuple[Draft, int]:
    """What may follow, and how much of it to verify: a pass commits one token more than it accepts."""
    widest = WIDTHS[-1] if request.block is None else request.block
    draft = text.draft(max(0, min(widest, left) - 1))
    return draft, len(draft.tokens) if request.block is not None else pace.length(draft)


def costs(runner: Runner, sampled: bool) -> Curve:
    """ms of a pass of CLEAN tokens with the choice of each row's token, against width (model.calibrate)."""
    head = "" if Role.CLEAN not in runner.head_of or runner.heads is None else runner.heads.sha256[:12]
    request = GenerateRequest(temperature=1.0 if sampled else 0.0)

    def one(cache: KVCache, width: int) -> None:
        if width == 1 and runner.whole_step(cache, 0, request) is not None:
            return
        states = runner.run(cache, [runner.clean([0] * width, CONTEXT)])
        choose(runner.logits(states), CONTEXT + 1, request)

    return curve(runner, f"lookup {head} {sampled}, one token a whole step", WIDTHS, one)
