"""What a pass costs against its width: the curve that the planner of drafts lives on."""

from __future__ import annotations

import time
from collections.abc import Iterator

from model.bench import BenchOptions, Row, summary
from model.calibrate import WIDTHS
from model.engine import Engine
from model.load import load
from model.runner import Runner

TITLE = "ms of a pass against its width, behind 256 cached tokens"
CONTEXT = 256


def draft_ms(runner: Runner, width: int, repeats: int) -> list[float]:
    """A draft block of `width` tokens with the output head for drafts, as a verified pass runs it."""
    cache = runner.cache(CONTEXT)
    runner.prefill(cache, [0] * CONTEXT)
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        part = runner.block([0] * width, [False] + [True] * (width - 1), CONTEXT, 1)
        runner.draft_vocab(runner.base.config.vocab).logits(runner.run(cache, [part])).argmax(-1).tolist()
        times.append((time.perf_counter() - begin) * 1e3)
    return times[1:]


def rows(options: BenchOptions) -> Iterator[Row]:
    engine = load(options.model, device=options.device)
    if not isinstance(engine, Engine):
        return
    widths = [w for w in WIDTHS if not options.quick or w <= 32]
    found = {}
    for width in widths:
        value, spread = summary(draft_ms(engine.runner, width, options.repeats))
        found[width] = value
        yield Row(
            f"draft of {width}", value, "ms", found[widths[0]], value / found[widths[0]], spread, "draft of 1"
        )
    yield Row(
        "draft of 32 beside 8",
        found[32],
        "ms",
        found[8],
        found[32] / found[8],
        peer="draft of 8",
        note="goal 1.6",
    )
