"""Length classification: which bucket of token counts will the answer fall into?

One query a prompt. An answer that was cut by a limit says only that it is at least that long, and its loss is the
probability of all buckets from there on (a censored observation), so cut answers do not teach short lengths.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

QUERIES = 32  # a row; rows with more samples leave the rest out


def queries(rows: list[list[Any]], edges: tuple[int, ...], T: int) -> tuple[Any, Any, Any]:
    """(query_RL, bucket_RL, open_RL): column of each prompt's last token or -1, bucket of its answer, cut or not."""
    R = len(rows)
    query = np.full((R, QUERIES), -1, np.int64)
    bucket = np.zeros((R, QUERIES), np.int64)
    cut = np.zeros((R, QUERIES), np.bool_)
    for r, samples in enumerate(rows):
        start = 0
        for i, sample in enumerate(samples[:QUERIES]):
            query[r, i] = start + len(sample.prompt) - 1
            bucket[r, i] = min(np.searchsorted(edges, len(sample.answer)), len(edges) - 1)
            cut[r, i] = not sample.finished
            start += min(T, len(sample.prompt) + len(sample.answer))
    return query, bucket, cut


def loss(logits_QC: torch.Tensor, bucket_Q: torch.Tensor, open_Q: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of each query [Q]: of its bucket, or, where open, of its bucket or any longer one."""
    log_p_QC = torch.log_softmax(logits_QC.float(), -1)
    exact_Q = log_p_QC.gather(1, bucket_Q[:, None])[:, 0]
    longer_QC = torch.arange(logits_QC.shape[1], device=logits_QC.device) >= bucket_Q[:, None]
    at_least_Q = log_p_QC.masked_fill(~longer_QC, float("-inf")).logsumexp(-1)
    return -torch.where(open_Q, at_least_Q, exact_Q)
