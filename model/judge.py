"""`Judge`: which draft tokens stay, by the AR head's scores of the draft's own text.

With x the draft token and y the AR head's own choice after the same tokens, x stays where it is y. Where it
is another one, a lenient judge lets it stay while both hold:

    share    s(x) > s(y) + log(lenience)         s: log probability, plus temperature x noise when sampled
    window   the next `window` draft tokens are the AR head's own choices after x

The first draft token that does not stay is y's place, and nothing behind it stays. lenience 1 keeps y alone:
`verified`.

share: x has more than `lenience` times the probability of y (greedy), or came that near to winning the draw
(sampled: the noise is that of the position, model.sampling, so the rule goes over into the greedy one as the
temperature falls, and a token outside the top-p set never stays). This is the lenience of speculative
decoding for greedy targets (arXiv 2211.17192, appendix A.5); Medusa's typical acceptance (arXiv 2401.10774,
3.3.1) bounds p(x) itself, by the entropy.

window: where texts part ways for good, the draft is soon refused again; where it was another word for the
same thing, the AR head goes on with it. So only those differences stay that the AR head takes up, which are
also the only ones that save passes (the deferred window of FLy, arXiv 2511.22972, whose gate is the entropy).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from model.request import GenerateRequest
from model.sampling import check, logprob, scores


@dataclass(frozen=True, slots=True)
class Judge:
    lenience: float = 1.0
    window: int = 0

    @property
    def exact(self) -> bool:
        """Does only the AR head's own choice stay?"""
        return self.lenience >= 1

    def slack(self, temperature: float) -> float:
        """log(lenience) in the units of scores (model.sampling)."""
        return math.log(self.lenience) / (temperature if temperature > 0 else 1.0)


EXACT = Judge()


def settled(
    scores_NV: torch.Tensor,
    own_N: torch.Tensor,
    drafts_N: torch.Tensor,
    slack: float | torch.Tensor,
    window: int,
) -> torch.Tensor:
    """The draft token of each row where it stays, else the AR head's own [N]. Rows follow each other as the
    draft's tokens do; drafts: -1 behind the last one of a draft.
    """
    pair_N2 = scores_NV.gather(-1, torch.stack((own_N, drafts_N.clamp_min(0)), -1)).float()
    own, draft = pair_N2.unbind(-1)
    # Not >=: of equal scores the first id is chosen, and without slack nothing else may be.
    stays = (drafts_N >= 0) & (draft > own + slack)
    if window:
        same = F.pad((drafts_N == own_N)[1:], (0, window))
        stays &= same.unfold(0, window, 1).all(-1)
    return torch.where(stays, drafts_N, own_N)


def choose(
    logits_TV: torch.Tensor,
    first: int,
    request: GenerateRequest,
    drafts: Sequence[int] = (),
    judge: Judge = EXACT,
) -> tuple[list[int], list[float], list[float]]:
    """Tokens for positions first.., their log probabilities at temperature 1, and those as probabilities.

    drafts: of the same positions, as many as there are; they stay where the judge lets them. Raises
    NumericsError for NaN logits.
    """
    check(logits_TV)
    device = logits_TV.device
    positions = torch.arange(first, first + logits_TV.shape[0], device=device)
    scores_TV = scores(
        logits_TV, positions, temperature=request.temperature, top_p=request.top_p, seed=request.seed
    )
    ids = scores_TV.argmax(-1)
    if not judge.exact:
        none = [-1] * (logits_TV.shape[0] - len(drafts))
        beside = torch.tensor([*drafts, *none], dtype=torch.int64, device=device)
        ids = settled(scores_TV, ids, beside, judge.slack(request.temperature), judge.window)
    log = logprob(logits_TV, ids)
    return ids.tolist(), log.tolist(), log.exp().tolist()
