"""`Planners`: for each answer a fresh planner of its drafts, over times that are measured once an engine.

Fresh, so that an answer's passes do not depend on those before it. What is measured is stored by machine
(model.calibrate), so most engines only read it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from model import lookup
from model.calibrate import step_times, width_curve
from model.plan import Curve, Planner
from model.sampling import Kind
from model.shapes import ShapePlanner, Times

if TYPE_CHECKING:
    from model.request import GenerateRequest
    from model.runner import Runner
    from model.steps import WholeSteps


class Planners:
    """measuring: called before passes are measured, which overwrites the one cache that a GPU's graphs know.

    lookups: ms of a pass of `lookup` against its width, for greedy (False) and sampled tokens (True), as far
    as measured.
    """

    def __init__(self, measuring: Callable[[], None]) -> None:
        self._measuring = measuring
        self._fixed: Planner | None = None
        self._widths: Curve | None = None
        self._shapes: dict[Kind, Times] = {}
        self.lookups: dict[bool, Curve] = {}

    def fix(self, planner: Planner | None) -> None:
        """Plan all passes with this one (None: with fresh ones, over widths looked up again)."""
        self._fixed, self._widths = planner, None

    def of_passes(self, runner: Runner, request: GenerateRequest) -> Planner:
        """Of judged drafts, pass by pass."""
        if self._fixed is not None:
            return self._fixed
        if request.block is not None:
            return Planner(limit=31)  # the request decides: no need to know what widths cost
        if self._widths is None:
            self._measuring()
            self._widths = width_curve(runner)
        return Planner(self._widths, limit=31)

    def of_steps(self, steps: WholeSteps, request: GenerateRequest) -> ShapePlanner:
        """For `verified`, in whole steps."""
        kind = Kind.of(request)
        if kind not in self._shapes:
            self._measuring()
            self._shapes[kind] = step_times(steps, request)
        return ShapePlanner(self._shapes[kind])

    def of_copies(self, runner: Runner, request: GenerateRequest) -> lookup.Pace:
        """For `lookup`."""
        sampled = request.temperature > 0
        if sampled not in self.lookups:
            self._measuring()
            self.lookups[sampled] = lookup.costs(runner, sampled)
        return lookup.Pace(self.lookups[sampled])
