"""From a file of prompts to a file of answered samples."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from model.data.answers import Answerer
from model.data.samples import Sample, Samples


def answer_samples(
    answerer: Answerer,
    prompts: Samples,
    *,
    temperature: float = 0.7,
    greedy_share: float = 0.5,
    seconds: float = 0.0,
    seed: int = 1,
    on_answer: Callable[[int], None] = lambda count: None,
) -> Samples:
    """The answered prompts, in their order. Which prompts are answered greedily depends on `seed` alone.
    Ends early, with what is done, after `seconds` (0: never) or on an interrupt."""
    rng = random.Random(seed)
    temperatures = [0.0 if rng.random() < greedy_share else temperature for _ in range(len(prompts))]
    started = time.monotonic()
    done: dict[int, Sample] = {}
    try:
        for answer in answerer.run([sample.prompt for sample in prompts], temperatures):
            asked = prompts[answer.index]
            done[answer.index] = Sample(asked.prompt, answer.ids, answer.finished, asked.kind)
            on_answer(len(done))
            if seconds and time.monotonic() - started > seconds:
                break
    except KeyboardInterrupt:
        if not done:
            raise
    meta = {**prompts.meta, "temperature": temperature, "greedy_share": greedy_share, "seed": seed}
    return Samples([done[index] for index in sorted(done)], meta)
