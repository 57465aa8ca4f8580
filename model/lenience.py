"""Lenient acceptance: a draft token stays where the AR head finds it likely enough beside its own choice.

With x the draft token and y the AR head's own choice, both after the same tokens,

    kept while  s(x) > s(y) + log(lenience)         s: log probability, plus temperature x noise when sampled

so x stays while it has more than `lenience` times the probability of y (greedy), or would have come that
near to winning the draw (sampled: the noise is that of the position, model.sampling, so the rule goes over
into the greedy one as the temperature falls, and a token outside the top-p set never stays). The first draft
token that does not stay is y's place, and nothing behind it stays. lenience 1 keeps y alone: `verified`.

The rule is the lenience of speculative decoding for greedy targets (arXiv 2211.17192, appendix A.5). Medusa's
typical acceptance (arXiv 2401.10774, 3.3.1) bounds p(x) itself, by the entropy; beside y the bound needs no
second setting and never refuses y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from model.request import GenerateRequest
from model.sampling import check, logprob, scores

EXACT = 1.0
"""The lenience that keeps the AR head's own choice alone."""


def slack(lenience: float, temperature: float) -> float:
    """log(lenience) in the units of scores (model.sampling)."""
    return math.log(lenience) / (temperature if temperature > 0 else 1.0)


def settled(
    scores_NV: torch.Tensor, own_N: torch.Tensor, drafts_N: torch.Tensor, slack: float | torch.Tensor
) -> torch.Tensor:
    """The draft token of each row where it stays, else the AR head's own [N]. drafts: -1 for none."""
    pair_N2 = scores_NV.gather(-1, torch.stack((own_N, drafts_N.clamp_min(0)), -1)).float()
    own, draft = pair_N2.unbind(-1)
    # Not >=: of equal scores the first id is chosen, and without slack nothing else may be.
    return torch.where((drafts_N >= 0) & (draft > own + slack), drafts_N, own_N)


def choose(
    logits_TV: torch.Tensor, drafts: Sequence[int], first: int, request: GenerateRequest, lenience: float
) -> tuple[list[int], list[float], list[float]]:
    """`model.ar.choose` beside drafts of the same positions, which stay where `lenience` lets them; rows
    behind the last draft have none.

    Raises NumericsError for NaN logits.
    """
    check(logits_TV)
    device = logits_TV.device
    positions = torch.arange(first, first + logits_TV.shape[0], device=device)
    scores_TV = scores(
        logits_TV, positions, temperature=request.temperature, top_p=request.top_p, seed=request.seed
    )
    ids = scores_TV.argmax(-1)
    if lenience < EXACT:
        none = [-1] * (logits_TV.shape[0] - len(drafts))
        beside = torch.tensor([*drafts, *none], dtype=torch.int64, device=device)
        ids = settled(scores_TV, ids, beside, slack(lenience, request.temperature))
    log = logprob(logits_TV, ids)
    return ids.tolist(), log.tolist(), log.exp().tolist()
