"""The chi-square test of counts against probabilities."""

from __future__ import annotations

import math

import torch


def chi_square(counts: torch.Tensor, probability: torch.Tensor) -> float:
    """Statistic over cells with an expectation of 5 or more; the rest is one cell."""
    expected = probability * counts.sum()
    small = expected < 5
    cells = [(counts[~small].double(), expected[~small].double())]
    if small.any():
        cells.append((counts[small].sum()[None].double(), expected[small].sum()[None].double()))
    seen, wanted = torch.cat([c[0] for c in cells]), torch.cat([c[1] for c in cells])
    keep = wanted > 0
    return float(((seen - wanted)[keep].square() / wanted[keep]).sum())


def limit(cells: int) -> float:
    """The chi-square quantile at 1 - 1e-6 with cells - 1 degrees of freedom (Wilson and Hilferty 1931)."""
    k = cells - 1
    return k * (1 - 2 / (9 * k) + 4.753 * math.sqrt(2 / (9 * k))) ** 3
