"""What becomes of chosen tokens in one launch: the judge's word on drafts beside them, and their report.

`model.judge.settled` says what the rule is; `model.kernels.choice.greedy` what a report is.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl


@triton.jit
def _verdict(
    scores, logits, chosen, drafts, slack, norm, ids, report, N, V,
    WIDE: tl.constexpr, WINDOW: tl.constexpr, JUDGED: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    n = tl.arange(0, WIDE)
    inside, row = n < N, n.to(tl.int64) * V
    token = tl.load(chosen + n, mask=inside, other=0)
    if JUDGED:
        draft = tl.load(drafts + n, mask=inside, other=-1)
        own_score = tl.load(scores + row + token, mask=inside, other=0.0).to(tl.float32)
        draft_score = tl.load(scores + row + draft, mask=draft >= 0, other=0.0).to(tl.float32)
        # Not >=: of equal scores the first id is chosen, and without slack nothing else may be.
        stays = (draft >= 0) & (draft_score > own_score + tl.load(slack))
        for k in tl.static_range(1, WINDOW + 1):
            behind = n + k < N
            own = tl.load(chosen + n + k, mask=behind, other=-2)
            stays = stays & (tl.load(drafts + n + k, mask=behind, other=-1) == own)
        token = tl.where(stays, draft, token)
    norm_N = tl.load(norm + n, mask=inside, other=0.0)
    logit = tl.load(logits + row + token, mask=inside, other=0.0).to(tl.float32)
    tl.store(ids + n, token, mask=inside)
    tl.store(report + n, token.to(tl.float32), mask=inside)
    tl.store(report + N + n, logit - norm_N, mask=inside)
    tl.store(report + 2 * N + n, norm_N, mask=inside)


def verdict(
    scores_NV: torch.Tensor,
    logits_NV: torch.Tensor,
    chosen_N: torch.Tensor,
    norm_N: torch.Tensor,
    drafts_N: torch.Tensor | None,
    slack: torch.Tensor,
    window: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(report [3, N], ids [N]) of the chosen tokens, or of the drafts [N] int64 that stay in their place.
    Contiguous rows; scores as `settled` takes them, norm of the logits; slack float32, one number.
    """
    N, V = logits_NV.shape
    ids = torch.empty_like(chosen_N)
    report = torch.empty(3, N, dtype=torch.float32, device=ids.device)
    _verdict[(1,)](
        scores_NV, logits_NV, chosen_N, drafts_N, slack, norm_N, ids, report, N, V,
        WIDE=triton.next_power_of_2(N), WINDOW=window, JUDGED=drafts_N is not None, PDL=ids.is_cuda,
        num_warps=1, **pdl(ids),
    )  # fmt: skip
    return report, ids
