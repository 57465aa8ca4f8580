"""Many answers from one model at once, where it can (`generate_many`), with what each of them took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from evals.errors import ModelFailureError
from model.request import GenerateRequest, Generation, Model, Step


@runtime_checkable
class BatchModel(Protocol):
    """A model that decodes many requests together; each answer is the one `generate` gives."""

    def generate_many(
        self,
        requests: Sequence[GenerateRequest],
        cancel: threading.Event | None = None,
        max_batch: int | None = None,
    ) -> Iterator[tuple[int, Step]]: ...


class Answer(NamedTuple):
    """share_s: seconds since the answer before it was finished; these add up to the time of the batch.

    first_s: from the start of this answer to its first token.
    """

    generation: Generation
    share_s: float
    first_s: float | None


def can_batch(model: Model, batch: int | None) -> bool:
    """Whether to: it can, and `batch` asks for it or, without a wish, it runs on a GPU."""
    if batch == 1 or not isinstance(model, BatchModel):
        return False
    return batch is not None or model.info.device.startswith("cuda")


def answer_together(
    model: Model,
    requests: Sequence[GenerateRequest],
    cancel: threading.Event,
    on_step: Callable[[Step], None] | None,
    batch: int | None,
) -> Iterator[tuple[int, Answer]]:
    """Answers with their request's index, as they are finished. Raises ModelFailureError, ModelError."""
    if not isinstance(model, BatchModel):
        raise TypeError(f"{model.info.name} cannot generate many answers at once")
    first: dict[int, float] = {}
    left = set(range(len(requests)))
    before = time.perf_counter()
    for index, step in model.generate_many(requests, cancel, batch) if requests else ():
        if on_step is not None:
            on_step(step)
        if step.committed and index not in first:
            first[index] = time.perf_counter()
        if step.result is None:
            continue
        now = time.perf_counter()
        begun = now - step.result.wall_s
        first_s = max(0.0, first[index] - begun) if index in first else None
        left.discard(index)
        yield index, Answer(step.result, now - before, first_s)
        # Not `now`: what the caller did with the answer is not the model's time.
        before = time.perf_counter()
    if left:
        raise ModelFailureError(f"the decoder ended without {len(left)} of {len(requests)} answers")
