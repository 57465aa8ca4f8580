"""`Engine`: a base from a folder, its heads, and every way to decode with them (model.request.Model).

    engine = Engine(folder, name="qwen2.5-coder-0.5b", device="cpu", heads=None)
    for step in engine.generate(GenerateRequest(prompt="def add(a, b):", decode="ar")):
        print(step.text, end="")

Precision on a CPU is what this machine is fastest at (model.calibrate), unless `precision` says otherwise. A
prompt that starts like the last one reuses its cache; that changes no bit of the answer (model.kvcache).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from model import ar, diffusion, flow, lookup, verified
from model.base import Base
from model.batch import Batch, Cancel, Job, cancel_of
from model.calibrate import cpu_precision, step_times, width_curve
from model.checkpoint import base_sha256
from model.drafter import Drafter
from model.errors import RequestError
from model.heads import HeadSet, check_folder, folder_sha256
from model.kvcache import KVCache
from model.lanes import Lanes, default_rows, lanes_for
from model.packed import pack, supported
from model.plan import WIDEST, Curve, Planner
from model.prompt import check_context, prompt_ids
from model.request import Decode, GenerateRequest, ModelInfo, Step
from model.roles import Role
from model.runner import Runner
from model.sampling import Kind
from model.session import Session
from model.shapes import ShapePlanner, Times
from model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from model.steps import WholeSteps

Precision = Literal["bf16", "fp32", "mixed"]
DTYPE = {"bf16": torch.bfloat16, "fp32": torch.float32, "mixed": torch.bfloat16}


class Engine:
    """precision: of weights and cache. `mixed` keeps the weights twice: bf16 for passes of one token, fp32 to
    read prompts (and for every pass with drafts), for CPUs without bf16 units.

    Raises WeightsError for a folder or heads that cannot be used.
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
        self.device = torch.device(_resolve(device))
        self.base_sha256 = base_sha256(self.folder)
        self._last: tuple[Runner, list[int], KVCache] | None = None
        self._drafter_made: Drafter | None = None
        self._planner: Planner | None = None
        self._curve: Curve | None = None
        self._times: dict[Kind, Times] = {}
        self._costs: dict[bool, Curve] = {}
        self._lanes: Lanes | None = None
        self.heads: HeadSet | None = None
        self._heads_folder = None if heads is None else Path(heads)
        self._head_roles = self._check_heads()
        self.precision: Precision = precision or self._default_precision()
        self.base = self._load(DTYPE[self.precision], context)
        self.context = min(context or self.base.config.context, self.base.config.context)
        self._wide_base = self._load(torch.float32, context) if self.precision == "mixed" else None
        self._pack()
        self.runner, self._wide = self._runners()
        if Role.CLEAN in self._head_roles:
            self._mount_heads()

    def _check_heads(self) -> set[Role]:
        """Roles that the heads serve. Raises WeightsError for heads that do not fit."""
        if self._heads_folder is None:
            return set()
        config = check_folder(
            self._heads_folder,
            base_sha256=self.base_sha256,
            tokenizer_sha256=self.tokenizer.sha256,
        )
        return {head.role for head in config.heads.values()}

    def _mount_heads(self) -> None:
        """Load the heads when a request first needs them: `ar` without an AR head never does, and pays
        nothing.
        """
        if self._heads_folder is None or self.heads is not None:
            return
        for base in (self._wide_base, self.base):
            if base is not None:
                self.heads = HeadSet.load(
                    self._heads_folder,
                    base,
                    base_sha256=self.base_sha256,
                    tokenizer_sha256=self.tokenizer.sha256,
                )
        self._pack()
        self.runner, self._wide = self._runners()
        self.forget()

    def _pack(self) -> None:
        for base in (self.base, self._wide_base):
            if base is not None and self.device.type == "cpu" and supported():
                pack(base)

    def _runners(self) -> tuple[Runner, Runner]:
        """For passes of one token, and for passes of many."""
        if self.device.type == "cuda":
            from model.cuda import CudaRunner
            from model.cuda import supported as fast

            if fast(self.base):
                graphs = CudaRunner(self.base, self.heads)
                return graphs, graphs
        runner = Runner(self.base, self.heads, prompt_base=self._wide_base)
        return runner, Runner(self._wide_base, self.heads) if self._wide_base is not None else runner

    def _default_precision(self) -> Precision:
        if self.device.type != "cpu":
            return "bf16"
        best = cpu_precision(self.folder)
        # With drafts, `ar` and `verified` must be one precision, or they would not be one answer.
        return "fp32" if best == "mixed" and self.drafts else best

    def _load(self, dtype: torch.dtype, context: int | None) -> Base:
        return Base.load(self.folder, dtype=dtype, device=self.device, context=context)

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            name=self.name,
            family=self.base.config.family,
            context=self.context,
            device=str(self.device),
            precision=self.precision,
            base_sha256=self.base_sha256,
            tokenizer_sha256=self.tokenizer.sha256,
            heads_sha256=folder_sha256(self._heads_folder) if self._heads_folder is not None else "",
        )

    @property
    def drafts(self) -> bool:
        """Has it a head that drafts? Without one `verified` decodes as `ar` does."""
        return Role.DRAFT in self._head_roles

    def forget(self) -> None:
        """Drop all caches: the next request reads its prompt from the start."""
        self._last = self._lanes = None

    def count_tokens(self, text: str) -> int:
        return len(self.tokenizer.encode(text))

    def encode(self, request: GenerateRequest) -> list[int]:
        """Prompt ids of a request. Raises RequestError."""
        return prompt_ids(request, self.tokenizer)

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]:
        """Errors are raised here, before the first pass; the steps come as the iterator is drawn."""
        prompt, mode = self._accept(request)
        return self._steps(request, prompt, mode, cancel)

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
        return self._steps_of_many(requests, accepted, cancel, max_batch)

    def _steps_of_many(
        self,
        requests: Sequence[GenerateRequest],
        accepted: Sequence[tuple[list[int], Decode]],
        cancel: Cancel,
        max_batch: int | None,
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
            rows = min(max_batch or default_rows(self.device), len(jobs))
            self._lanes = lanes_for(self.runner, rows, capacity, self._lanes)
            yield from Batch(self._lanes, jobs, rows).run()
        for index in singly:
            prompt, mode = accepted[index]
            for step in self._steps(requests[index], prompt, mode, cancel_of(cancel, index)):
                yield index, step

    def _accept(self, request: GenerateRequest) -> tuple[list[int], Decode]:
        """Prompt ids and mode of a request. Raises RequestError for one that cannot be served."""
        prompt = self.encode(request)
        request.check()
        check_context(request, len(prompt), self.context)
        mode = self._mode(request)
        if mode == "diffusion":
            diffusion.Rules.of(request)  # raises for rules that cannot be, before the first pass
            if not self.drafts:
                raise RequestError(
                    "decode=diffusion needs a diffusion head, and this model has none: "
                    "give --heads, or use --decode ar"
                )
        return prompt, mode

    def _mode(self, request: GenerateRequest) -> Decode:
        """What `auto` means here: `verified` where there is a drafting head (its planner falls back to plain
        decoding where drafts do not pay), else `ar`. Both give the same answer.
        """
        if request.decode != "auto":
            return request.decode
        return "verified" if self.drafts else "ar"

    def _steps(
        self, request: GenerateRequest, prompt: list[int], mode: Decode, cancel: threading.Event | None
    ) -> Iterator[Step]:
        session = self._session(request, prompt, mode, cancel)
        if session.done:
            yield session.step(forwards=0)
            return
        # No drafting head in these: they have the precision of `ar` even where that is mixed.
        drafts = self.drafts or self._drafter_made is not None
        plain = mode in ("ar", "lookup") or (mode == "verified" and not drafts)
        if not plain:
            self._mount_heads()
        runner = self.runner if plain else self._wide
        # Before the prompt is read: the first use measures passes, on a GPU in the cache of the answer.
        capacity = len(prompt) + request.max_tokens
        checked = mode == "verified" and not plain
        steps = self._whole_steps(request, capacity) if checked else None
        shapes = self._shape_planner(steps, request) if steps is not None else None
        planner = self.planner if checked and steps is None else None
        pace = self._pace(request) if mode == "lookup" else None
        cache = self._cache(runner, prompt, capacity)
        if steps is not None and not steps.serves(cache):
            cache = runner.cache(capacity)  # a longer answer's, of another kind, was left
        try:
            runner.prefill(cache, prompt[cache.length[0] : -1])
            if not plain:
                runner.ask_router(cache, prompt)
            session.prefilled()
            if pace is not None:
                yield from lookup.decode(runner, cache, session, pace)
            elif plain:
                yield from ar.decode(runner, cache, session)
            elif steps is not None and shapes is not None:
                yield from verified.decode_whole(steps, cache, session, shapes)
            elif planner is not None:
                yield from verified.decode(runner, cache, session, self._drafter(), planner)
            else:
                parts = flow.Parts(runner, cache, self.tokenizer, self.draft_limit)
                yield from flow.decode(parts, session, diffusion.Rules.of(request))
        finally:
            self._last = (runner, [*prompt, *session.ids], cache)

    def _session(
        self, request: GenerateRequest, prompt: list[int], mode: Decode, cancel: threading.Event | None
    ) -> Session:
        session = Session(request, prompt, self.tokenizer, model=self.name, decode=mode, cancel=cancel)
        if request.max_tokens == 0:
            session.finish = "length"
        return session

    @property
    def draft_limit(self) -> int:
        """Token ids from here on (MASK, unused rows) are never drafted."""
        mask_id = self.tokenizer.mask_id
        return self.tokenizer.vocab_size if mask_id is None else min(mask_id, self.tokenizer.vocab_size)

    def _drafter(self) -> Drafter:
        if self._drafter_made is None:
            self._drafter_made = Drafter(self._wide, self.draft_limit)
        return self._drafter_made

    def draft_with(self, drafter: Drafter | None, planner: Planner | None = None) -> None:
        """Use another source of drafts (None: the heads) and a planner: for measurements and tests."""
        self._drafter_made, self._planner, self._curve = drafter, planner, None

    @property
    def planner(self) -> Planner:
        """Of one answer's drafts, each a fresh one: an answer's passes do not depend on those before it."""
        if self._planner is not None:
            return self._planner
        if self._curve is None:
            self._last = None  # measuring overwrites the one cache that a GPU's graphs know
            self._curve = width_curve(self._wide)
        return Planner(self._curve, limit=31)

    def _whole_steps(self, request: GenerateRequest, capacity: int) -> WholeSteps | None:
        """`verified` steps that a device does by itself, where it can and the request leaves it free."""
        own = self._drafter_made is None or type(self._drafter_made) is Drafter
        if not own or request.block is not None:
            return None
        return self._wide.whole_steps(capacity, self.draft_limit)

    def _shape_planner(self, steps: WholeSteps, request: GenerateRequest) -> ShapePlanner:
        """Like `planner`, of one answer."""
        kind = Kind.of(request)
        if kind not in self._times:
            self._last = None
            self._times[kind] = step_times(steps, request)
        return ShapePlanner(self._times[kind])

    def _pace(self, request: GenerateRequest) -> lookup.Pace:
        """The same for `lookup`."""
        sampled = request.temperature > 0
        if sampled not in self._costs:
            self._last = None
            self._costs[sampled] = lookup.costs(self.runner, sampled)
        return lookup.Pace(self._costs[sampled])

    def _cache(self, runner: Runner, prompt: list[int], capacity: int) -> KVCache:
        """A cache that holds as much of the prompt (without its last token) as the last answer left."""
        if self._last is not None:
            owner, known, cache = self._last
            self._last = None
            if owner is runner and cache.capacity >= capacity + WIDEST:
                cache.truncate(_common(known[: cache.length[0]], prompt[:-1]))
                return cache
        return runner.cache(capacity)


def _common(one: list[int], two: list[int]) -> int:
    """Length of the common start."""
    size = min(len(one), len(two))
    return next((i for i in range(size) if one[i] != two[i]), size)


def _resolve(device: str) -> str:
    """`auto` is a GPU when there is one. Raises RequestError for a device that is not here."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise RequestError(f"{device!r} is no device: use auto, cpu, cuda or cuda:1") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise RequestError("there is no CUDA device here: use --device cpu")
    return device
