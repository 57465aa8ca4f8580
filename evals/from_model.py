"""`FromModel`: samples that a model is asked for, one at a time or many together, and what each took."""

from __future__ import annotations

import dataclasses
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from evals.batched import answer_together, can_batch
from evals.benchmark import Attempt, Benchmark, Task
from evals.errors import ModelFailureError, UsageError
from evals.sample import Sample, Timing
from evals.settings import Settings
from model.errors import ContextOverflowError, ModelError, RequestError
from model.request import GenerateRequest, Generation, Model, Step

if TYPE_CHECKING:
    from evals.judge import Judge

OnStep = Callable[[Step], None]
Warn = Callable[[str], None]
# Loaded models by (name, heads, device).
Models = dict[tuple[str, str, str], Model]


@runtime_checkable
class Drafting(Protocol):
    """A model that knows whether it has a head that drafts."""

    @property
    def drafts(self) -> bool: ...


def check_drafts(model: Model, settings: Settings, warn: Warn) -> None:
    """Say that `verified` or `diffusion` would run without the heads it is about. Raises ModelFailureError
    where heads were asked for, or where nothing can be decoded without them.
    """
    if settings.decode not in ("verified", "diffusion") or not isinstance(model, Drafting) or model.drafts:
        return
    name = model.info.name
    if settings.heads not in ("", "none"):
        raise ModelFailureError(
            f"the heads in {settings.heads} have none that drafts: --decode {settings.decode} needs one"
        )
    lack = f"no trained heads for {name} are here (heads/{name}), and --decode {settings.decode}"
    if settings.decode == "diffusion":
        raise ModelFailureError(f"{lack} needs them: give --heads FOLDER, or use --decode ar or lookup")
    warn(f"{lack} without them is `ar` made slower: give --heads FOLDER, or use --decode ar or lookup")


class FromModel:
    """Ask a model. It is loaded at the first use and kept in `models` for further settings of a sweep.

    batch: answers decoded together, None for as many as suit a GPU and one on a CPU. A batch changes no
    answer, so it is no part of the settings that a run is known by. warn: told once, on loading, when the
    settings need heads that are not there.
    """

    instant = False

    def __init__(
        self,
        benchmark: Benchmark,
        settings: Settings,
        on_step: OnStep | None = None,
        models: Models | None = None,
        batch: int | None = None,
        warn: Warn | None = None,
    ) -> None:
        self._benchmark, self._settings, self._on_step = benchmark, settings, on_step
        self._batch, self._warn = batch, warn
        self._models: Models = {} if models is None else models
        self.cancel = threading.Event()

    @property
    def model(self) -> Model:
        """Raises ModelFailureError; UsageError where no prompt could fit beside max_tokens."""
        settings = self._settings
        key = (settings.model, settings.heads, settings.device)
        if key not in self._models:
            from model.load import load

            device, heads = settings.device or "auto", settings.heads or None
            try:
                self._models[key] = load(settings.model, device=device, heads=heads)
            except ModelError as error:
                raise ModelFailureError(str(error)) from error
        context = self._models[key].info.context
        if settings.max_tokens is not None and settings.max_tokens >= context:
            raise UsageError(f"--max-tokens {settings.max_tokens} leaves no prompt in a context of {context}")
        if self._warn is not None:
            warn, self._warn = self._warn, None
            check_drafts(self._models[key], settings, warn)
        return self._models[key]

    @property
    def info(self) -> dict[str, Any]:
        """Of the model, and for `diffusion` the rules that its answers come by, defaults included. Raises
        UsageError for rules that cannot be.
        """
        info = dataclasses.asdict(self.model.info)
        rules = {} if self._settings.decode != "diffusion" else {"rules": _rules(self._settings)}
        return {**info, "heads_sha256": info["heads_sha256"] or None, **rules}

    def sample(self, task: Task, index: int, judge: Judge) -> tuple[Sample, Timing]:
        """Raises ModelFailureError; a prompt that does not fit the context is an empty sample."""
        asked = _Asked(self.model, self.cancel, self._on_step)
        try:
            attempt = self._benchmark.attempt(task, asked, self._request(task, index), judge)
        except ContextOverflowError:
            return _overflow(task, index), {}
        except ModelError as error:
            raise ModelFailureError(f"{task.id}: {error}") from error
        seconds = sum(g.wall_s for g in attempt.generations)
        return _sample(task, index, attempt), _timing(attempt, seconds, asked.first)

    @property
    def batched(self) -> bool:
        """Loads the model. Only plain decoding of benchmarks that ask once is batched: the figures of the
        other decoders are those of one answer at a time.
        """
        if self._settings.decode != "ar" or type(self._benchmark).attempt is not Benchmark.attempt:
            return False
        return can_batch(self.model, self._batch)

    def many(self, wanted: Sequence[tuple[Task, int]]) -> Iterator[tuple[Sample, Timing]]:
        """Samples as they are finished. Raises ModelFailureError.

        A batch refuses all its requests when one does not fit, before its first pass; only then is each
        prompt read for itself to find those, so that prompts are encoded once as a rule.
        """
        try:
            try:
                yield from self._together(wanted)
            except ContextOverflowError:
                fitting = []
                for task, index in wanted:
                    if self._fits(task, index):
                        fitting.append((task, index))
                    else:
                        yield _overflow(task, index), {}
                yield from self._together(fitting)
        except ModelError as error:
            raise ModelFailureError(str(error)) from error

    def _together(self, wanted: Sequence[tuple[Task, int]]) -> Iterator[tuple[Sample, Timing]]:
        requests = [self._request(task, index) for task, index in wanted]
        for place, answer in answer_together(self.model, requests, self.cancel, self._on_step, self._batch):
            task, index = wanted[place]
            text = answer.generation.text
            attempt = Attempt(text, self._benchmark.extract(task, text), (answer.generation,))
            yield _sample(task, index, attempt), _timing(attempt, answer.share_s, answer.first_s)

    def _fits(self, task: Task, index: int) -> bool:
        """Whether the context holds it: `generate` refuses what it does not, before its first pass."""
        try:
            self.model.generate(self._request(task, index), self.cancel)
        except ContextOverflowError:
            return False
        except ModelError as error:
            raise ModelFailureError(f"{task.id}: {error}") from error
        return True

    def _request(self, task: Task, index: int) -> GenerateRequest:
        settings, benchmark = self._settings, self._benchmark
        return GenerateRequest(
            messages=benchmark.messages(task),
            max_tokens=settings.max_tokens or benchmark.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p if settings.temperature else 1.0,
            seed=settings.sample_seed(task.id, index),
            stop=benchmark.stop,
            decode=settings.decode,
            block=settings.block,
            threshold=settings.threshold,
            extra=settings.extra,
        )


def _rules(settings: Settings) -> dict[str, Any]:
    from model.rules import Rules  # with torch, which a model has loaded by now

    request = GenerateRequest(
        decode="diffusion", block=settings.block, threshold=settings.threshold, extra=settings.extra
    )
    try:
        return Rules.of(request).record
    except RequestError as error:
        raise UsageError(str(error)) from None


def _overflow(task: Task, index: int) -> Sample:
    return Sample(task.id, index, "", finish_reason="context_overflow")


def _sample(task: Task, index: int, attempt: Attempt) -> Sample:
    calls = attempt.generations
    return Sample(
        task_id=task.id,
        sample=index,
        solution=attempt.solution,
        raw=attempt.raw,
        prompt_tokens=sum(g.prompt_tokens for g in calls),
        tokens=sum(g.tokens for g in calls),
        forwards=sum(g.forwards for g in calls),
        finish_reason=calls[-1].finish_reason if calls else "stop",
        turns=attempt.turns,
        commit_step=calls[-1].commit_step if calls else (),
    )


def _timing(attempt: Attempt, share_s: float, first_s: float | None) -> Timing:
    """wall_s: what the answer took. share_s: its part of the time of all answers, less in a batch."""
    calls = attempt.generations
    return {
        "wall_s": round(sum(g.wall_s for g in calls), 4),
        "share_s": round(share_s, 4),
        "prefill_s": round(sum(g.prefill_s for g in calls), 4),
        "ttft_s": round(first_s, 4) if first_s is not None else None,
        **peak_memory(),
    }


class _Asked:
    """Runs the requests of one sample. `first`: seconds from the first request to its first token."""

    def __init__(self, model: Model, cancel: threading.Event, on_step: OnStep | None) -> None:
        self.model = model
        self.first: float | None = None
        self._cancel, self._on_step = cancel, on_step

    def __call__(self, request: GenerateRequest) -> Generation:
        result = None
        started = time.perf_counter()
        for step in self.model.generate(request, self._cancel):
            if step.committed and self.first is None:
                self.first = time.perf_counter() - started
            if self._on_step is not None:
                self._on_step(step)
            result = step.result or result
        if result is None:
            raise ModelFailureError("the decoder ended without a result")
        return result


def peak_memory() -> dict[str, float]:
    """Most memory used so far: of this process, and of the GPU where torch is loaded and uses one."""
    peak: dict[str, float] = {
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peak["peak_gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return peak
