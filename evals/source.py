"""Where samples come from: a model, the reference solutions, or a file that another tool made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from evals.benchmark import Benchmark, Task
from evals.errors import UsageError
from evals.from_model import FromModel, Models, OnStep, Warn
from evals.sample import Sample, Timing
from evals.settings import Settings

if TYPE_CHECKING:
    from evals.judge import Judge


class SampleSource(Protocol):
    """Gives one sample of one task, and what it took.

    `info` describes it for the record. `instant`: samples take no time to get.
    """

    instant: bool

    @property
    def info(self) -> dict[str, Any]: ...

    def sample(self, task: Task, index: int, judge: Judge) -> tuple[Sample, Timing]: ...


@runtime_checkable
class BatchSource(Protocol):
    """A source that can make many samples at once. `batched`: whether it does, as it is set up."""

    @property
    def batched(self) -> bool: ...

    def many(self, wanted: Sequence[tuple[Task, int]]) -> Iterator[tuple[Sample, Timing]]: ...


class Canonical:
    """The benchmark's own solutions: what a perfect model would score."""

    instant = True
    info: dict[str, Any] = {"name": "canonical"}  # noqa: RUF012 - one constant value, never changed

    def sample(self, task: Task, index: int, judge: Judge) -> tuple[Sample, Timing]:
        return Sample(task.id, index, task.reference, finish_reason="stop"), {}


class Given:
    """Samples read from a file. `info` names the file's hash."""

    instant = True

    def __init__(self, samples: list[Sample], info: dict[str, Any]) -> None:
        self._samples = {sample.key: sample for sample in samples}
        self.info = info

    def sample(self, task: Task, index: int, judge: Judge) -> tuple[Sample, Timing]:
        return self._samples[task.id, index], {}


def open_source(
    benchmark: Benchmark,
    settings: Settings,
    on_step: OnStep | None = None,
    models: Models | None = None,
    batch: int | None = None,
    warn: Warn | None = None,
) -> SampleSource:
    """`canonical`, or any model that `model.load` knows; the rest as for `FromModel`. Raises UsageError."""
    if settings.model == "canonical":
        return Canonical()
    if not settings.model:
        raise UsageError("--model is empty; name a model, or `canonical` for the reference solutions")
    return FromModel(benchmark, settings, on_step, models, batch, warn)
