"""Blocks as a decoder meets them: most begin where a draft has just failed.

Anchors are drawn evenly over an answer, but a decoder hangs its next block behind the token at which the last
draft went wrong, and those are tokens that the base itself was unsure of. A block's weight therefore grows
with 1 - p(its visible token | what stands before it), the base's own probability, which the clean pass has at
hand: importance weights for the places where drafts begin.
"""

from __future__ import annotations

import torch


def weights(p_RN: torch.Tensor, share: float) -> torch.Tensor:
    """Of blocks [R, N] whose visible token the base gave probability `p_RN`; 1 on average. share: of the
    weight that follows 1 - p; the rest is even."""
    doubt_RN = 1 - p_RN
    return 1 - share + share * doubt_RN / doubt_RN.mean().clamp_min(1e-3)
