"""Whole `verified` steps of several shapes beside the whole `ar` step, on the prompts of `decode`."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.bench import BenchOptions, Row, guarded, summary
from model.bench_rows.decode import ACCEPTANCE, PROMPTS
from model.engine import Engine
from model.load import load
from model.request import GenerateRequest, Message, complete
from model.shapes import LONGEST, PLAIN, SHAPES, Shape, forecast

if TYPE_CHECKING:
    from model.steps import WholeSteps

TITLE = "on CUDA with heads: whole verified steps of several shapes beside the ar step"
WIDE = Shape(15, 16)
"""A block behind every acceptance point: more than any planner asks for."""
GOAL = 8
"""Accepted tokens a step of the goal in tokens/s: one more is committed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """ids: up to the end of the answer. ms: of each step. committed: tokens of all steps."""

    ids: tuple[int, ...]
    ms: list[float]
    committed: int


def rows(options: BenchOptions) -> Iterator[Row]:
    engine = load(options.model, device=options.device, heads=options.heads)
    if not isinstance(engine, Engine) or engine.device.type != "cuda":
        return
    complete(engine, GenerateRequest(prompt="warm", max_tokens=2, decode="verified"))  # mounts the heads
    engine.forget()
    texts = PROMPTS[: 2 if options.quick else 12]
    prompts = [engine.tokenizer.render_chat([Message("user", text)]) for text in texts]
    capacity = max(map(len, prompts)) + options.max_tokens
    steps = engine.weights.runner.whole_steps(capacity, engine.decoders.draft_limit)
    if steps is None:
        return
    ends = frozenset(engine.tokenizer.eos_ids)
    yield from shape_rows(steps, prompts, options.max_tokens, ends, (*SHAPES, WIDE))


def shape_rows(
    steps: WholeSteps,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    ends: frozenset[int],
    shapes: Sequence[Shape],
) -> Iterator[Row]:
    """Four rows a shape, each prompt answered with plain steps and with steps of the shape, in turns."""
    for shape in shapes:
        siblings = f", {shape.siblings} siblings" if shape.siblings else ""
        name = f"{shape.masks} masks, {shape.blocks} points{siblings} (width {shape.width})"
        yield from guarded(name, functools.partial(_rows_of, name, shape, steps, prompts, tokens, ends))


def _rows_of(
    name: str,
    shape: Shape,
    steps: WholeSteps,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    ends: frozenset[int],
) -> Iterator[Row]:
    plain: list[Answer] = []
    ours: list[Answer] = []
    for kind in (PLAIN, shape):
        _answer(steps, kind, prompts[0], tokens, ends)  # captures and compiles
    for turn, prompt in enumerate(prompts):
        for kind, into in ((PLAIN, plain), (shape, ours))[:: 1 if turn % 2 == 0 else -1]:
            into.append(_answer(steps, kind, prompt, tokens, ends))
    (ms, spread), (ar_ms, _) = (summary([ms for answer in run for ms in answer.ms]) for run in (ours, plain))
    count = sum(len(answer.ms) for answer in ours)
    each = sum(answer.committed for answer in ours) / count
    yield Row(name, ms, "ms/step", ar_ms, ms / ar_ms, spread, "the ar step")
    speed, ar_speed = (sum(a.committed for a in run) / sum(sum(a.ms) for a in run) for run in (ours, plain))
    note = f"{each:.2f} tokens a step, {count} steps"
    yield Row(f"{name}, speed", 1e3 * speed, "tokens/s", 1e3 * ar_speed, speed / ar_speed, None, "ar", note)
    if shape.masks >= GOAL:
        best = 1e3 * (GOAL + 1) / ms
        at, note = f"{name} at {GOAL} accepted", "by the median step"
        yield Row(at, best, "tokens/s", 1e3 / ar_ms, best * ar_ms / 1e3, None, "ar", note)
    same = sum(one.ids == two.ids for one, two in zip(ours, plain, strict=True))
    yield Row(f"{name}, equal", same, "answers", len(plain), same / len(plain), None, "answers of ar")


def _answer(
    steps: WholeSteps, shape: Shape, prompt: Sequence[int], tokens: int, ends: frozenset[int]
) -> Answer:
    """One greedy answer by steps of one shape, its blocks where drafts of the oracle's acceptance lose
    least.
    """
    rates = (ACCEPTANCE,) * LONGEST
    points = (0,) if shape == PLAIN else forecast(shape, rates, rates).points
    runner, known = steps.runner, len(prompt) - 1
    # The steps reckon with the planner's widest shape; more would let attention go over slots for nothing.
    room = tokens + max(0, shape.width - max(usual.width for usual in SHAPES))
    runner.prefill(runner.cache(known + room), prompt[:-1])
    request = GenerateRequest(prompt_ids=tuple(prompt), max_tokens=tokens)
    steps.begin(request, prompt[-1], known, room)
    ids: list[int] = []
    times: list[float] = []
    while len(ids) < tokens and not ends.intersection(ids):
        at = time.perf_counter()
        steps.launch(shape, points)
        made = steps.collect()
        times.append((time.perf_counter() - at) * 1e3)
        ids += made.ids
    kept = ids[:tokens]
    end = next((i for i, token in enumerate(kept) if token in ends), len(kept))
    return Answer(tuple(kept[:end]), times, len(ids))
