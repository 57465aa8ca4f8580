"""Length classification: which bucket of token counts will the answer fall into?

One query a prompt. An answer that was cut by a limit says only that it is at least that long, and its loss
is the probability of all buckets from there on (a censored observation), so cut answers do not teach short
lengths.
"""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np
import torch

QUERIES = 32  # a row; rows with more samples leave the rest out


def queries(rows: list[list[Any]], edges: tuple[int, ...], T: int) -> tuple[Any, Any, Any]:
    """(query_RL, bucket_RL, open_RL): column of each prompt's last token or -1, bucket of its answer, cut
    or not."""
    R = len(rows)
    query = np.full((R, QUERIES), -1, np.int64)
    bucket = np.zeros((R, QUERIES), np.int64)
    cut = np.zeros((R, QUERIES), np.bool_)
    for r, samples in enumerate(rows):
        start = 0
        for i, sample in enumerate(samples[:QUERIES]):
            query[r, i] = start + len(sample.prompt) - 1
            bucket[r, i] = min(bisect.bisect_left(edges, len(sample.answer)), len(edges) - 1)
            cut[r, i] = not sample.finished
            start += min(T, len(sample.prompt) + len(sample.answer))
    return query, bucket, cut


def loss(logits_RLC: torch.Tensor, bucket_RL: torch.Tensor, open_RL: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of each query: of its bucket or, where open, of that or any longer one."""
    log_p_RLC = torch.log_softmax(logits_RLC.float(), -1)
    exact_RL = log_p_RLC.gather(-1, bucket_RL[..., None])[..., 0]
    longer_RLC = torch.arange(logits_RLC.shape[-1], device=logits_RLC.device) >= bucket_RL[..., None]
    at_least_RL = log_p_RLC.masked_fill(~longer_RLC, float("-inf")).logsumexp(-1)
    return -torch.where(open_RL, at_least_RL, exact_RL)
