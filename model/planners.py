"""`Planners`: for each answer a fresh planner of its drafts, over times that are measured once an engine.

Fresh, so that an answer's passes do not depend on those before it. What is measured is stored by machine
(model.calibrate), so most engines only read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from model import lookup
from model.calibrate import step_times, width_curve
from model.plan import Curve, Planner
from model.sampling import Kind
from model.shapes import PLAIN, SHAPES, UNMEASURED, Shape, ShapePlanner, Times

if TYPE_CHECKING:
    from model.request import GenerateRequest
    from model.runner import Runner
    from model.steps import WholeSteps


def shapes_of(request: GenerateRequest) -> tuple[Shape, ...]:
    """Shapes of whole steps that a request leaves open: all, or those of its block. None where no shape has
    such a block, or `extra` says how many blocks or siblings a pass has.
    """
    if request.block is None:
        return SHAPES
    if request.extra.keys() & {"branches", "siblings"}:
        return ()
    return tuple(shape for shape in SHAPES if shape.masks == request.block - 1)


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
        """Of judged drafts, in whole steps of `shapes_of`, or of one token where drafts do not pay.

        `diffusion` with a block always drafts, and by times that are the same everywhere: its answer
        depends on the plan, and is to be repeated.
        """
        shapes = shapes_of(request)
        if request.block is not None and request.decode == "diffusion":
            return ShapePlanner({PLAIN: math.inf} | {shape: UNMEASURED[shape] for shape in shapes})
        kind = Kind.of(request)
        if kind not in self._shapes:
            self._measuring()
            self._shapes[kind] = step_times(steps, request)
        times = self._shapes[kind]
        return ShapePlanner({shape: times[shape] for shape in (PLAIN, *shapes)})

    def of_copies(self, runner: Runner, request: GenerateRequest) -> lookup.Pace:
        """For `lookup`."""
        sampled = request.temperature > 0
        if sampled not in self.lookups:
            self._measuring()
            self.lookups[sampled] = lookup.costs(runner, sampled)
        return lookup.Pace(self.lookups[sampled])
