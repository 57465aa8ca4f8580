"""Verified decoding: the diffusion head drafts, the AR head decides, one pass does both.

A pass at cache length n, with pending token t at position n and a draft d1..dm:

    CLEAN   t d1 d2 .. dm                  states predict positions n+1 .. n+m+1: y0 .. ym
    DRAFT   (t  MASK MASK ..)              a block that hangs at acceptance point 0,
    DRAFT   (d2 MASK MASK ..)              one at point 2, ...: each sees only the CLEAN tokens before it

Draft tokens are accepted while d(i+1) = y(i). If a are, then d1..da and ya are final: a + 1 tokens from one
pass. ya is the next pending token, and the block that hangs at a holds the next draft: its states say what
follows ya, and the sequential head starts from ya. If no block hangs at a, the nearest earlier block
serves, with the sequential head run over the tokens that are known by now.

Siblings of the draft (model.drafter) are CLEAN tokens of the same pass: s1 s2 .. in the place of d(i+1)
and on, which see t d1 .. di and each other. If the line ends at i because y(i) is s1, the step goes on with
s2 = y(s1) and so on; the tokens of the sibling that were right move to the line's places in the cache.

The line can be a copy of the text (model.copies); then the draft is a sibling where the two part.

With a lenient judge (`diffusion`, model.judge) d(i+1) also stays where the AR head finds it likely
enough beside its own choice, and y(i) is d(i+1) there: the text is no longer that of `ar`.

Otherwise the answer is that of `ar`, token for token: y(i) is computed from the same tokens by kernels whose
rows do not depend on the width of the pass (model.packed, model.kvcache), and sampled with noise that depends
on the position only (model.sampling).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.copies import Copies, Joined
from model.drafter import Drafter, Proposal, Sibling
from model.judge import EXACT, Judge, choose
from model.kvcache import KVCache
from model.plan import Plan, Planner, coverage
from model.request import GenerateRequest, Step, Token
from model.runner import Part, Runner
from model.session import Session
from model.shapes import LONGEST, ShapePlanner

if TYPE_CHECKING:
    from model.steps import WholeSteps


@dataclass(frozen=True, slots=True)
class Verified:
    """ids: the accepted draft and the AR head's own next token, all final; logs: their log probabilities;
    draft: what may follow. beside: tokens that a sibling added."""

    ids: list[int]
    logs: list[float]
    draft: list[int]
    beside: int = 0


def decode(
    runner: Runner,
    cache: KVCache,
    session: Session,
    drafter: Drafter,
    planner: Planner,
    judge: Judge = EXACT,
    copies: Copies | None = None,
) -> Iterator[Step]:
    """The cache holds the prompt without its last token. copies: of an empty text, where copies of the
    prompt and the answer are drafts too.
    """
    request = session.request
    pending = session.prompt[-1]
    if copies is not None:
        copies.extend(session.prompt)
    draft, copied = _joined(copies, Proposal([]), planner, request)
    while not session.done:
        if session.cancelled():
            yield session.step(forwards=0)
            return
        start = cache.length[0]
        plan = planner.plan(len(draft.ids), session.left, request, copied)
        line = [pending, *draft.ids[: plan.verify]]
        beside = [s for s in draft.siblings[: plan.siblings] if s.at < plan.verify]
        clean = len(line) + sum(len(s.ids) for s in beside)
        states = runner.run(cache, _parts(runner, line, start, plan, draft.ids, beside))
        logits = runner.logits(states[:clean])
        ids, logs, sure = choose(logits[: len(line)], start + 1, request, line[1:], judge)
        accepted = agreed(line, ids)
        planner.observe(accepted, plan.verify, copied)
        right = line[: accepted + 1]  # what is now in the cache for good
        del ids[accepted + 1 :], logs[accepted + 1 :], sure[accepted + 1 :]
        at = len(line)
        for sibling in beside:
            here = slice(at, at + len(sibling.ids))
            at = here.stop
            if sibling.at == accepted and sibling.ids[0] == ids[-1]:
                more = choose(logits[here], start + accepted + 2, request, sibling.ids[1:], judge)
                count = agreed(sibling.ids, more[0]) + 1
                cache.splice(here.start, len(right), count)
                right += sibling.ids[:count]
                ids, logs, sure = ids + more[0][:count], logs + more[1][:count], sure + more[2][:count]
                break
        tokens, text = session.commit(ids, logs, sure)
        cache.keep(len(tokens))
        pending, draft = ids[-1], Proposal([])
        point = coverage(plan.points, accepted)
        if not session.done and point is not None:
            at = clean + plan.points.index(point) * (1 + plan.masks)
            block = states[at : at + 1 + plan.masks]
            known = [*right[point:], pending]
            if len(known) <= len(block):
                siblings = plan.siblings if runner.siblings else 0
                draft = drafter.propose(block, known, start + len(right) + 1, request, siblings)
        if copies is not None:
            copies.extend(ids)
        draft, copied = _joined(copies, draft, planner, request)
        revised = _rewritten(tokens, accepted, plan.verify, judge)
        yield session.step(tokens, text, revised=revised, draft=session.drafted(draft.ids))


def _joined(
    copies: Copies | None, draft: Proposal, planner: Planner, request: GenerateRequest
) -> tuple[Proposal, bool]:
    """What to verify next, and whether that is a copy."""
    if copies is None or not planner.copies:
        return draft, False
    line = copies.join(draft.ids, request.block - 1 if request.block is not None else planner.limit)
    if not line.copied:
        return draft, False
    parted = () if line.beside is None else (line.beside,)
    return Proposal(list(line.ids), (*parted, *draft.siblings)), True


def agreed(line: Sequence[int], chosen: Sequence[int]) -> int:
    """How many tokens behind the first of a line are those that were chosen in their place."""
    right = 0
    while right + 1 < len(line) and line[right + 1] == chosen[right]:
        right += 1
    return right


def _rewritten(tokens: Sequence[Token], accepted: int, verified: int, judge: Judge) -> tuple[Token, ...]:
    """What a lenient step reports as revised: the AR head's own token in the place of a draft that did not
    stay, unless the answer ended before it.
    """
    return tuple(tokens[accepted : accepted + 1]) if not judge.exact and accepted < verified else ()


def decode_whole(
    steps: WholeSteps,
    cache: KVCache,
    session: Session,
    planner: ShapePlanner,
    judge: Judge = EXACT,
    copies: Copies | None = None,
) -> Iterator[Step]:
    """The same loop where a device does a whole step by itself, in one of a few shapes. The device has its
    next step before the last one's tokens are shown and the planner thinks.
    """
    steps.begin(session.request, session.prompt[-1], cache.length[0], session.left, judge)
    line, drafts = Joined(()), 0
    shape, points = planner.choose()
    steps.launch(shape, points)
    if copies is not None:
        copies.extend(session.prompt)
    try:
        while not session.done:
            if session.cancelled():
                yield session.step(forwards=0)
                return
            planner.reconsider()
            made = steps.collect()
            accepted = len(made.ids) - 1 - made.beside
            planner.observe(shape, points, accepted, len(made.draft), made.beside)
            revised = min(drafts, shape.masks)
            tokens, text = session.commit(made.ids, made.logs, [math.exp(log) for log in made.logs])
            cache.keep(len(tokens))
            line, drafts = Joined(tuple(made.draft)), len(made.draft)
            if not session.done:
                if copies is not None:
                    copies.extend(made.ids)
                    if planner.copies:
                        line = copies.join(made.draft, LONGEST)
                shape, points = planner.choose(line.copied)
                if line.copied:
                    steps.suggest(shape, line.ids, line.beside)
                steps.launch(shape, points)
            yield session.step(
                tokens,
                text,
                revised=_rewritten(tokens, accepted, revised, judge),
                draft=session.drafted(line.ids[: shape.masks]),
            )
    finally:
        steps.settle()


def _parts(
    runner: Runner,
    line: Sequence[int],
    start: int,
    plan: Plan,
    draft: Sequence[int],
    beside: Sequence[Sibling] = (),
) -> list[Part]:
    """The CLEAN line, siblings and blocks. What the last draft said about a block's positions comes in as
    hints, when the heads were trained with hints.
    """
    parts = [runner.clean(line, start)]
    for number, sibling in enumerate(beside, start=1):
        parts.append(runner.sibling(sibling.ids, start + 1 + sibling.at, number))
    for number, point in enumerate(plan.points, start=1):
        ids, masked = [line[point]] + [0] * plan.masks, [False] + [True] * plan.masks
        hinted = None
        if runner.hints:
            # At this point the next token of the draft was wrong; what came after it may be right.
            tail = [0, *draft[point + 1 : point + plan.masks]]
            hinted = [False] * (1 + plan.masks)
            for i in range(1, len(tail)):
                ids[1 + i], masked[1 + i], hinted[1 + i] = tail[i], False, True
        parts.append(runner.block(ids, masked, start + point, number, hinted))
    return parts
