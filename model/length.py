"""The length head: how long will the answer be?

One query token follows the prompt, in role LENGTH: a copy of the prompt's last token at its position. It
sees the prompt and itself, and its final state is classified into log-spaced buckets. The decoder takes a
quantile of that distribution as the canvas, and grows the canvas when the end has not come by then.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


class LengthHead(nn.Module):
    """Logits over buckets; edge i is the longest answer in tokens that falls into bucket i."""

    def __init__(self, hidden: int, edges: Sequence[int]) -> None:
        super().__init__()
        self.edges = tuple(edges)
        self.weight = nn.Parameter(torch.zeros(len(self.edges), hidden))
        self.bias = nn.Parameter(torch.zeros(len(self.edges)))

    def forward(self, h_ND: torch.Tensor) -> torch.Tensor:
        """[N, buckets] from the query tokens' final states."""
        return F.linear(h_ND.to(self.weight.dtype), self.weight, self.bias)

    def bucket(self, length: int) -> int:
        """The bucket of an answer of `length` tokens; longer than the last edge is the last bucket."""
        return next((i for i, edge in enumerate(self.edges) if length <= edge), len(self.edges) - 1)

    def quantile(self, logits: torch.Tensor, q: float) -> int:
        """The length in tokens that an answer stays within with probability q, at least 1. Inside a bucket
        lengths are taken to be spread evenly in their logarithm; taking its upper edge instead would
        overrate every answer by half a bucket."""
        below = 0.0
        shares: list[float] = logits.double().softmax(-1).tolist()
        for i, share in enumerate(shares):
            if below + share >= q - 1e-6 and share > 0:
                lower, upper = (self.edges[i - 1] if i else 1), self.edges[i]
                within = min(1.0, max(0.0, (q - below) / share))
                return max(1, round(float(lower * (upper / lower) ** within)))
            below += share
        return self.edges[-1]
