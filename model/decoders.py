"""`Decoders`: the decoder of each request, with the runner, drafts, judge and plan that it works by.

chosen = decoders.of(request, decoders.mode(request), capacity)
for step in chosen.decode(cache, session):
    ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from model import ar, flow, lookup, verified
from model.copies import Copies
from model.drafter import Drafter
from model.judge import EXACT, Judge
from model.kvcache import KVCache
from model.plan import Planner
from model.planners import Planners, shapes_of
from model.request import Decode, GenerateRequest, Step
from model.roles import Role
from model.rules import Rules
from model.runner import Runner
from model.session import Session
from model.tokenizer import Tokenizer
from model.weights import Weights

if TYPE_CHECKING:
    from model.steps import WholeSteps

Decoder = Callable[[KVCache, Session], Iterator[Step]]
"""Decodes an answer over a cache that holds its prompt without the last token."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """runner: of the prompt too. steps: whole steps that the decoder takes, which know one cache only; None
    where it goes pass by pass.
    """

    decode: Decoder
    runner: Runner
    steps: WholeSteps | None = None


class Decoders:
    """measuring: called before passes are measured (model.planners)."""

    def __init__(self, weights: Weights, tokenizer: Tokenizer, measuring: Callable[[], None]) -> None:
        self.weights, self.tokenizer = weights, tokenizer
        self.planners = Planners(measuring)
        self._own_drafter: Drafter | None = None
        self._heads_drafter: Drafter | None = None

    @property
    def drafts(self) -> bool:
        """Has the model a head that drafts? Without one `verified` decodes as `ar` does."""
        return Role.DRAFT in self.weights.head_roles

    @property
    def draft_limit(self) -> int:
        """Token ids from here on (MASK, unused rows) are never drafted."""
        mask_id = self.tokenizer.mask_id
        return self.tokenizer.vocab_size if mask_id is None else min(mask_id, self.tokenizer.vocab_size)

    def draft_with(self, drafter: Drafter | None, planner: Planner | None = None) -> None:
        """Use another source of drafts (None: the heads) and a planner: for measurements and tests."""
        self._own_drafter = drafter
        self.planners.fix(planner)

    def mode(self, request: GenerateRequest) -> Decode:
        """What `auto` means here: `verified` where there is a drafting head (its planner falls back to plain
        decoding where drafts do not pay), else `ar`. Both give the same answer.
        """
        if request.decode != "auto":
            return request.decode
        return "verified" if self.drafts else "ar"

    def plain(self, mode: Decode) -> bool:
        """Does it decode without a drafting head? Such modes have the precision of `ar` even where that is
        mixed; the others need the heads mounted.
        """
        drafts = self.drafts or self._own_drafter is not None
        return mode in ("ar", "lookup") or (mode == "verified" and not drafts)

    def of(self, request: GenerateRequest, mode: Decode, capacity: int) -> Chosen:
        """capacity: tokens of prompt and answer together. The first use measures passes, on a GPU in the
        cache of the answer: ask before the prompt is read.
        """
        if self.plain(mode):
            runner = self.weights.runner
            if mode == "lookup":
                pace = self.planners.of_copies(runner, request)
                return Chosen(partial(lookup.decode, runner, pace=pace), runner)
            return Chosen(partial(ar.decode, runner), runner)
        runner = self.weights.wide
        judge = Rules.of(request).judge if mode == "diffusion" else EXACT
        if judge is None:
            parts = flow.Parts(runner, self.tokenizer, self.draft_limit)
            return Chosen(partial(flow.decode, parts, rules=Rules.of(request)), runner)
        return self._judged(runner, request, judge, capacity)

    def _judged(self, runner: Runner, request: GenerateRequest, judge: Judge, capacity: int) -> Chosen:
        """Drafts that the AR head judges: in whole steps where the device can and has one of the request's
        block.
        """
        # Under a lenient judge the text follows the drafts, which are the head's alone; so they are where
        # these are measured.
        copying = judge.exact and self._own_drafter is None and request.extra.get("copies", True)
        copies = Copies() if copying else None
        if self._own_drafter is None and shapes_of(request):
            steps = runner.whole_steps(capacity, self.draft_limit)
            if steps is not None:
                planned = self.planners.of_steps(steps, request)
                decode = partial(verified.decode_whole, steps, planner=planned, judge=judge, copies=copies)
                return Chosen(decode, runner, steps)
        planner = self.planners.of_passes(runner, request)
        passes = partial(verified.decode, runner, drafter=self._drafter(runner), planner=planner)
        return Chosen(partial(passes, judge=judge, copies=copies), runner)

    def _drafter(self, runner: Runner) -> Drafter:
        if self._own_drafter is not None:
            return self._own_drafter
        if self._heads_drafter is None:
            self._heads_drafter = Drafter(runner, self.draft_limit)
        return self._heads_drafter
