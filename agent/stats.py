"""Statistics of pass or fail: pass@k, intervals, paired tests. Plain functions of numbers, seeded, no I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BOOTSTRAP = 10_000


class Interval(NamedTuple):
    low: float
    high: float


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of k samples drawn from n, of which c pass, passes: 1 - C(n-c, k) / C(n, k).

    The unbiased estimator of Chen et al. 2021 (arXiv 2107.03374). Raises ValueError unless 0 <= c <= n and 1
    <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} needs 0 <= c <= n and 1 <= k <= n, got n={n} c={c}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def wilson(passed: int, total: int, z: float = 1.959964) -> Interval:
    """95 % score interval of a proportion (Wilson 1927): right also near 0 and 1. (0, 1) for no trials."""
    if total == 0:
        return Interval(0.0, 1.0)
    p = passed / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    # At 0 and `total` the interval ends there exactly; floating point may miss it by one ulp.
    low = 0.0 if passed == 0 else max(0.0, centre - half)
    high = 1.0 if passed == total else min(1.0, centre + half)
    return Interval(low, high)


def bootstrap_mean(values: Sequence[float], seed: int = 0, resamples: int = BOOTSTRAP) -> Interval:
    """95 % percentile interval of the mean, resampling tasks. (0, 1) for no values."""
    if not values:
        return Interval(0.0, 1.0)
    means = _resampled_means(np.asarray(values, dtype=np.float64), seed, resamples)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


class Paired(NamedTuple):
    """B against A on the same tasks: difference of the means, its interval and a two-sided p-value."""

    difference: float
    ci95: Interval
    p: float


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], seed: int = 0, resamples: int = BOOTSTRAP
) -> Paired:
    """Resample tasks, keeping each task's pair together. p is twice the smaller tail of the sign of the
    difference.
    """
    if len(a) != len(b) or not a:
        raise ValueError("paired bootstrap needs two equally long, non-empty series")
    diff = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    means = _resampled_means(diff, seed, resamples)
    low, high = np.quantile(means, [0.025, 0.975])
    tail = min(float((means <= 0).mean()), float((means >= 0).mean()))
    return Paired(
        float(diff.mean()), Interval(float(low), float(high)), min(1.0, max(2 * tail, 1 / resamples))
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p of McNemar's test: do the flips go one way more often than a fair coin? 1.0 for no
    flips.
    """
    n = only_a + only_b
    if n == 0:
        return 1.0
    tail: float = sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1)) / 2**n
    return min(1.0, 2 * tail)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, 5th and 95th percentile; zeros for no values."""
    if not values:
        return 0.0, 0.0, 0.0
    low, mid, high = np.quantile(np.asarray(values, dtype=np.float64), [0.05, 0.5, 0.95])
    return float(mid), float(low), float(high)


def _resampled_means(values: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Means of `resamples` draws with replacement, in chunks so that memory stays small for long series."""
    rng = np.random.default_rng(seed)
    size = len(values)
    chunk = max(1, 2_000_000 // size)
    parts = [
        values[rng.integers(0, size, (min(chunk, resamples - start), size))].mean(axis=1)
        for start in range(0, resamples, chunk)
    ]
    return np.concatenate(parts)
