"""How whole steps choose tokens: greedy, or sampled with settings that lie on the device.

One captured graph serves every temperature, top-p and seed of its `Kind`; the draws are those of
model.sampling.
"""

from __future__ import annotations

import torch

from model.judge import Judge
from model.kernels.choice import greedy
from model.kernels.verdict import verdict
from model.request import GenerateRequest
from model.sampling import Kind, gumbel, warm_scores


class Draw:
    """Settings of the answer in the making; each of the tensors holds one number."""

    def __init__(self, device: torch.device) -> None:
        self.temperature = torch.ones((), dtype=torch.float32, device=device)
        self.top_p = torch.ones((), dtype=torch.float32, device=device)
        self.seed = torch.zeros((), dtype=torch.int64, device=device)
        self.slack = torch.zeros((), dtype=torch.float32, device=device)
        self._put: tuple[float, float, int] | None = None

    def put(self, request: GenerateRequest) -> None:
        """The settings of a request; those of a greedy one are not read."""
        settings = request.temperature, request.top_p, request.seed
        if request.temperature <= 0 or settings == self._put:
            return
        self._put = settings
        self.temperature.fill_(request.temperature)
        self.top_p.fill_(request.top_p)
        self.seed.fill_(request.seed)

    def put_judge(self, judge: Judge, request: GenerateRequest) -> None:
        """How far below its own choice the AR head lets a draft stay; read by lenient steps only."""
        self.slack.fill_(judge.slack(request.temperature))

    def choose(
        self,
        logits_NV: torch.Tensor,
        positions_N: torch.Tensor,
        kind: Kind,
        drafts_N: torch.Tensor | None = None,
        window: int = 0,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The tokens [N] with the largest `scores` for these absolute positions, behind their report [3, N]
        (model.kernels.choice). drafts [N]: those that stay by `settled` (model.judge), with the slack put
        here, take their place.
        """
        report, ids = greedy(logits_NV)
        if not kind.warm and drafts_N is None:
            return report, ids
        scores_NV = logits_NV
        if kind.warm:
            top_p = self.top_p if kind.cut else 1.0
            scores_NV = warm_scores(logits_NV, positions_N, self.temperature, top_p, self.seed)
            ids = scores_NV.argmax(-1)
        return verdict(scores_NV, logits_NV, ids, report[2], drafts_N, self.slack, window)

    def noise(self, positions_N: torch.Tensor, ids_NC: torch.Tensor) -> torch.Tensor:
        """The noise [N, C] that `choose` adds for these tokens."""
        return gumbel(self.seed, positions_N, ids_NC)
