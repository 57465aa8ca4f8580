"""Accuracy against parallelism: a curve over settings, and its area as d3LLM defines it (AUP).

AUP (accuracy under parallelism; d3LLM, arXiv 2601.07568, `AUP_leaderboard`): sort the points by parallelism
rho (tokens per forward), with accuracy y in percent. Points more than 5 points below the first are left out.
Then

    AUP = rho_1 y_1 + sum over i > 1 of (rho_i - rho_{i-1}) (y_i W(y_i) + y_{i-1} W(y_{i-1})) / 2
    W(y) = min(exp(-alpha (1 - y / y_max)), 1),  alpha = 3

y_max is the best accuracy over all methods compared; here the curve's own best unless another is given. The
reference code refuses a curve whose last point is more than 5 points down; we leave such points out, as its
filter does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

ALPHA = 3.0
MAX_DROP = 5.0


class Point(NamedTuple):
    """One setting: tokens per forward and accuracy in percent (0 to 100)."""

    rho: float
    accuracy: float
    label: str = ""


def weight(accuracy: float, best: float, alpha: float = ALPHA) -> float:
    """W(y): 1 at the best accuracy, falling exponentially below it. A best of 0 gives no weight."""
    if best <= 0:
        return 0.0
    return min(math.exp(-alpha * (1 - accuracy / best)), 1.0)


def aup(
    points: Iterable[Point], best: float | None = None, alpha: float = ALPHA, max_drop: float = MAX_DROP
) -> float:
    """Area of the curve. Raises ValueError for no points or a parallelism that is not positive."""
    ordered = sorted(points)
    if not ordered:
        raise ValueError("a curve needs at least one point")
    if ordered[0].rho <= 0:
        raise ValueError(f"parallelism must be positive, got {ordered[0].rho}")
    kept = [p for p in ordered if p.accuracy >= ordered[0].accuracy - max_drop]
    top = max(p.accuracy for p in kept) if best is None else best
    area = kept[0].rho * kept[0].accuracy
    for before, after in itertools.pairwise(kept):
        height = after.accuracy * weight(after.accuracy, top, alpha) + before.accuracy * weight(
            before.accuracy, top, alpha
        )
        area += (after.rho - before.rho) * height / 2
    return area
