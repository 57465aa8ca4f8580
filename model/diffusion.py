"""Free-running block diffusion: the diffusion head fills blocks of masked tokens by itself.

A window of one or more blocks is one DRAFT block of the pass: a visible copy of the last committed token,
then masks. Each pass predicts every masked position at once; the rules (model.rules) decide which become
visible, always at least one. When tokens enter the cache is another choice:

    prefix      from left to right: the sequential head goes through the block (model.drafter), the run of
                certain tokens at its beginning becomes CLEAN at once, and the next pass hangs a fresh block
                of masks behind it
    block       anywhere in the window; visible tokens stay DRAFT, and may be rewritten by the edit pass, a
                bounded number of times, until their block is full and `delay` more passes have gone by. A
                structural prior orders Python (model.order).

`block` asks for heads that were trained with visible tokens inside a block; heads that saw one visible token
and masks only (those of `verified`) draft far better behind a clean prefix. The answer ends at the first end
token with nothing masked before it.

Unlike `verified`, the text is the diffusion head's own: its quality is that of the head. `diffusion` runs so
where a request asks for it (model.rules); else the AR head judges the drafts (model.judge).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from model.drafter import Drafter
from model.kvcache import KVCache
from model.order import Reader, priors
from model.request import Step, Token
from model.rules import Rules
from model.runner import Runner
from model.sampling import check, gumbel, keep_top_p
from model.session import Session
from model.tokenizer import Tokenizer

_EDITS = 2
"""Rewrites of one position at most: the edit pass must end."""


@dataclass
class Slot:
    """A position of the window. token None: masked."""

    token: int | None = None
    confidence: float = 0.0
    logprob: float = 0.0
    edits: int = 0


@dataclass
class Window:
    """The open positions, from the first that is not committed."""

    slots: list[Slot] = field(default_factory=list)
    full_for: int = 0

    def open_to(self, width: int) -> None:
        """Add masked positions up to `width`."""
        self.slots += [Slot() for _ in range(width - len(self.slots))]

    @property
    def masked(self) -> int:
        return sum(slot.token is None for slot in self.slots)


def decode(
    runner: Runner,
    cache: KVCache,
    session: Session,
    tokenizer: Tokenizer,
    rules: Rules,
    canvas: int,
    limit: int,
) -> Iterator[Step]:
    """The cache holds all committed tokens but the last. canvas: tokens expected in all, from the length
    head; it grows when the end has not come. limit: ids from here on are never written.
    """
    pending = [(session.ids or session.prompt)[-1]]
    window = Window()
    reader = Reader()
    vocab, drafter = runner.draft_vocab(limit), Drafter(runner, limit)
    if rules.order and rules.commit == "block":
        reader.read(tokenizer.decode([*session.prompt, *session.ids]), final=True)
    while not session.done:
        if session.cancelled():
            yield session.step(forwards=0)
            return
        if canvas <= len(session.ids):
            canvas = len(session.ids) + rules.block
        room = min(session.left, max(1, canvas - len(session.ids)))
        window.open_to(min(rules.block * rules.flight, room))
        states = _predict(runner, cache, pending, window)
        at = len(session.prompt) + len(session.ids)
        revised: tuple[Token, ...] = ()
        if rules.commit == "prefix":
            shown = _begin(drafter, states, pending, window, session, rules, at)
        else:
            logits = vocab.logits(states)
            revised, shown = _fill(logits, vocab.ids, window, session, tokenizer, rules, reader, at)
        tokens, text = _commit(window, session, tokenizer, rules)
        if tokens:
            shown = tuple(token for token in shown if token.position > tokens[-1].position)
            pending = [*pending[-1:], *(token.id for token in tokens)]
            reader.read("".join(token.text for token in tokens), final=True)
        yield session.step(tokens, text, revised=revised, draft=shown, masked=window.masked, head="diffusion")


def _predict(runner: Runner, cache: KVCache, pending: list[int], window: Window) -> torch.Tensor:
    """States [window, D]: newly committed tokens go in as CLEAN, the window hangs at the last of them.

    On return the cache holds all committed tokens but the last, and `pending` only that one.
    """
    clean = pending[:-1]
    start = cache.length[0]
    ids = [pending[-1], *(slot.token or 0 for slot in window.slots[:-1])]
    masked = [False, *(slot.token is None for slot in window.slots[:-1])]
    parts = [runner.clean(clean, start)] if clean else []
    parts.append(runner.block(ids, masked, start + len(clean), 1))
    states = runner.run(cache, parts)
    cache.keep(len(clean))
    del pending[:-1]
    return states[len(clean) :]


def _begin(
    drafter: Drafter,
    states: torch.Tensor,
    pending: list[int],
    window: Window,
    session: Session,
    rules: Rules,
    at: int,
) -> tuple[Token, ...]:
    """Draft the window in sequence and write the certain beginning into it."""
    guess, logs, log_BC = drafter.draft(states, pending, at, session.request)
    check(log_BC)
    sure = [math.exp(value) for value in logs]
    chosen = rules.beginning(log_BC, sure)
    for i in chosen:
        window.slots[i] = Slot(guess[i], sure[i], logs[i])
    return tuple(session.token(len(session.ids) + i, guess[i], sure[i]) for i in chosen)


def _fill(
    logits: torch.Tensor,
    ids: torch.Tensor,
    window: Window,
    session: Session,
    tokenizer: Tokenizer,
    rules: Rules,
    reader: Reader,
    at: int,
) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
    """Write the predictions that the rules let through into the window. Returns rewritten and new draft
    tokens. ids: what the columns of the logits stand for.

    State i of the pass predicts slot i: the token shift of the base is kept.
    """
    check(logits)
    request = session.request
    log = logits.log_softmax(-1)
    if request.temperature > 0:
        positions = torch.arange(at, at + logits.shape[0], device=logits.device)
        warm = keep_top_p(logits / request.temperature, request.top_p)
        best = (warm + gumbel(request.seed, positions, ids)).argmax(-1)
    else:
        best = logits.argmax(-1)
    logs: list[float] = log.gather(-1, best[:, None])[:, 0].tolist()
    guess: list[int] = ids[best].tolist()
    sure = [math.exp(min(0.0, value)) for value in logs]
    slots = window.slots
    masked = [i for i, slot in enumerate(slots) if slot.token is None]
    bonus, waits = _prefer(rules, reader, tokenizer, slots, guess)
    chosen = rules.visible(log, sure, masked, bonus, waits)
    base = len(session.ids)
    revised = []
    for i, slot in enumerate(slots):
        rewrites = slot.token is not None and guess[i] != slot.token and sure[i] >= rules.edit
        if rewrites and rules.edit < 1 and slot.edits < _EDITS:
            slots[i] = Slot(guess[i], sure[i], logs[i], slot.edits + 1)
            revised.append(session.token(base + i, guess[i], sure[i]))
    shown = []
    for i in chosen:
        slots[i] = Slot(guess[i], sure[i], logs[i])
        shown.append(session.token(base + i, guess[i], sure[i]))
    return tuple(revised), tuple(shown)


def _prefer(
    rules: Rules, reader: Reader, tokenizer: Tokenizer, slots: Sequence[Slot], guess: Sequence[int]
) -> tuple[list[float], list[bool]]:
    """What the order of Python adds to each position's confidence, and whether it must wait."""
    if not rules.order:
        return [0.0] * len(slots), [False] * len(slots)
    tokens = [slot.token if slot.token is not None else guess[i] for i, slot in enumerate(slots)]
    return priors(reader, [tokenizer.decode([token]) for token in tokens], [s.token is None for s in slots])


def _commit(
    window: Window, session: Session, tokenizer: Tokenizer, rules: Rules
) -> tuple[tuple[Token, ...], str]:
    """Make the first block final when it is full (for `delay` passes), or up to an end token reached
    without gaps.
    """
    slots = window.slots
    solid = next((i for i, slot in enumerate(slots) if slot.token is None), len(slots))
    end = next((i for i in range(solid) if slots[i].token in tokenizer.eos_ids), None)
    width = solid if rules.commit == "prefix" else min(rules.block, len(slots))
    if end is None and solid < width:
        window.full_for = 0
        return (), ""
    if window.full_for < rules.delay and end is None:
        window.full_for += 1
        return (), ""
    window.full_for = 0
    done = slots[: end + 1 if end is not None else width]
    del slots[: len(done)]
    ids = [slot.token for slot in done if slot.token is not None]
    return session.commit(ids, [slot.logprob for slot in done], [slot.confidence for slot in done])
