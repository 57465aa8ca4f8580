"""`Engine`: a base from a folder, its heads, and every way to decode with them (model.request.Model).

    engine = Engine(folder, name="qwen2.5-coder-0.5b", device="cpu", heads=None)
    for step in engine.generate(GenerateRequest(prompt="def add(a, b):", decode="ar")):
        print(step.text, end="")

It accepts a request and runs its decoder (model.decoders): over the weights (model.weights), behind what the
last answer left in the cache (model.lastcache).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from model.batch import Batch, Cancel, Job, cancel_of
from model.decoders import Decoders
from model.drafter import Drafter
from model.errors import MemoryFullError, RequestError
from model.fullmemory import give_back, less, told
from model.lanes import Lanes, default_rows, lanes_for
from model.lastcache import LastCache
from model.plan import Planner
from model.prompt import check_context, prompt_ids
from model.request import Decode, GenerateRequest, ModelInfo, Step
from model.rules import Rules
from model.session import Session
from model.tokenizer import Tokenizer
from model.weights import Weights, resolve_device

if TYPE_CHECKING:
    from model.calibrate import Precision

S = TypeVar("S")


class Engine:
    """precision: of weights and cache (model.weights), None for what suits the device.

    Raises WeightsError for a folder or heads that cannot be used, RequestError for a device that is not here,
    MemoryFullError for one without room for the weights.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        name: str,
        device: str = "cpu",
        heads: Path | str | None = None,
        context: int | None = None,
        precision: Precision | None = None,
    ) -> None:
        self.folder, self.name = Path(folder), name
        self.tokenizer = Tokenizer(self.folder)
        with told(resolve_device(device), "the model (a smaller one, or one in FP8)"):
            self.weights = Weights(
                self.folder,
                device=device,
                heads=None if heads is None else Path(heads),
                tokenizer_sha256=self.tokenizer.sha256,
                context=context,
                precision=precision,
            )
        self.device = self.weights.device
        longest = self.weights.base.config.context
        self.context = min(context or longest, longest)
        self._last = LastCache()
        self.decoders = Decoders(self.weights, self.tokenizer, measuring=self._last.drop)
        self._lanes: Lanes | None = None

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            name=self.name,
            family=self.weights.base.config.family,
            context=self.context,
            device=str(self.device),
            precision=self.weights.precision,
            base_sha256=self.weights.base_sha256,
            tokenizer_sha256=self.tokenizer.sha256,
            heads_sha256=self.weights.heads_sha256,
        )

    @property
    def drafts(self) -> bool:
        """Has it a head that drafts? Without one `verified` decodes as `ar` does."""
        return self.decoders.drafts

    def draft_with(self, drafter: Drafter | None, planner: Planner | None = None) -> None:
        """Use another source of drafts (None: the heads) and a planner: for measurements and tests."""
        self.decoders.draft_with(drafter, planner)

    def forget(self) -> None:
        """Drop all caches: the next request reads its prompt from the start."""
        self._last.drop()
        self._lanes = None

    def encode(self, request: GenerateRequest) -> list[int]:
        """Prompt ids of a request. Raises RequestError."""
        return prompt_ids(request, self.tokenizer)

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]:
        """Errors of the request are raised here, before the first pass; the steps come as the iterator is
        drawn, which raises NumericsError, and MemoryFullError where the device has no room."""
        prompt, mode = self._accept(request)
        return self._singly(request, prompt, mode, cancel)

    def generate_many(
        self, requests: Sequence[GenerateRequest], cancel: Cancel = None, max_batch: int | None = None
    ) -> Iterator[tuple[int, Step]]:
        """The steps of all requests as they come, each with its request's index; every answer is the one
        that `generate` gives.

        `ar` requests decode together, up to `max_batch` rows (None: what suits the device), and `auto` ones
        with them: many rows use the device better than drafts. Requests of other decoders follow one by one.
        cancel: one event for all, or one or None for each. Errors of a request are raised here, before the
        first pass, with its number.
        """
        if max_batch is not None and max_batch < 1:
            raise RequestError(f"max_batch is {max_batch}; it must be 1 or more")
        if cancel is not None and not isinstance(cancel, threading.Event) and len(cancel) != len(requests):
            raise RequestError(f"{len(cancel)} cancel events for {len(requests)} requests: give one each")
        accepted = []
        for index, request in enumerate(requests):
            try:
                accepted.append(self._accept(request))
            except RequestError as error:
                raise type(error)(f"request {index}: {error}") from None
        rows = min(max_batch or default_rows(self.device), len(requests))
        steps = self._steps_of_many(requests, accepted, cancel, rows)
        return self._in_memory(steps, f"the batch (up to {rows} answers are decoded together) or max_tokens")

    def _in_memory(self, steps: Iterator[S], lower: str) -> Iterator[S]:
        """The steps; where the device's memory is full, all caches are given back first."""
        try:
            with told(self.device, lower):
                yield from steps
        except MemoryFullError:
            self.forget()
            give_back(self.device)
            raise

    def _singly(
        self, request: GenerateRequest, prompt: list[int], mode: Decode, cancel: threading.Event | None
    ) -> Iterator[Step]:
        return self._in_memory(self._steps(request, prompt, mode, cancel), less(request, len(prompt)))

    def _steps_of_many(
        self,
        requests: Sequence[GenerateRequest],
        accepted: Sequence[tuple[list[int], Decode]],
        cancel: Cancel,
        rows: int,
    ) -> Iterator[tuple[int, Step]]:
        jobs, singly = [], []
        for index, (request, (prompt, mode)) in enumerate(zip(requests, accepted, strict=True)):
            together = mode == "ar" or request.decode == "auto"
            opened = partial(self._session, request, prompt, "ar", cancel_of(cancel, index))
            if together:
                jobs.append(Job(index, opened, tuple(prompt)))
            else:
                singly.append(index)
        if jobs:
            capacity = max(len(job.prompt) + requests[job.index].max_tokens for job in jobs)
            rows = min(rows, len(jobs))
            self._lanes = lanes_for(self.weights.runner, rows, capacity, self._let_go())
            yield from Batch(self._lanes, jobs, rows).run()
        for index in singly:
            prompt, mode = accepted[index]
            for step in self._singly(requests[index], prompt, mode, cancel_of(cancel, index)):
                yield index, step

    def _let_go(self) -> Lanes | None:
        """The lanes of the last batch, kept here no more: their memory may be needed for larger ones."""
        lanes, self._lanes = self._lanes, None
        return lanes

    def _accept(self, request: GenerateRequest) -> tuple[list[int], Decode]:
        """Prompt ids and mode of a request. Raises RequestError for one that cannot be served."""
        prompt = self.encode(request)
        request.check()
        check_context(request, len(prompt), self.context)
        mode = self.decoders.mode(request)
        if mode == "diffusion":
            Rules.of(request)  # raises for rules that cannot be, before the first pass
            if not self.drafts:
                raise RequestError(
                    "decode=diffusion needs a diffusion head, and this model has none: "
                    "give --heads, or use --decode ar"
                )
        return prompt, mode

    def _steps(
        self, request: GenerateRequest, prompt: list[int], mode: Decode, cancel: threading.Event | None
    ) -> Iterator[Step]:
        session = self._session(request, prompt, mode, cancel)
        if session.done:
            yield session.step(forwards=0)
            return
        plain = self.decoders.plain(mode)
        if not plain and self.weights.mount():
            self.forget()
        capacity = len(prompt) + request.max_tokens
        chosen = self.decoders.of(request, mode, capacity)
        runner = chosen.runner
        cache = self._last.take(runner, prompt, capacity)
        if chosen.steps is not None and not chosen.steps.serves(cache):
            cache = runner.cache(capacity)  # a longer answer's, of another kind, was left
        try:
            runner.prefill(cache, prompt[cache.length[0] : -1])
            if not plain:
                runner.ask_router(cache, prompt)
            session.prefilled()
            yield from chosen.decode(cache, session)
        finally:
            self._last.put(runner, [*prompt, *session.ids], cache)

    def _session(
        self, request: GenerateRequest, prompt: list[int], mode: Decode, cancel: threading.Event | None
    ) -> Session:
        session = Session(request, prompt, self.tokenizer, model=self.name, decode=mode, cancel=cancel)
        if request.max_tokens == 0:
            session.finish = "length"
        return session
