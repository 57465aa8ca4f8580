"""The output head for drafts: only the tokens that heads were trained to draft.

Heads name their draft vocabulary (the 32,768 commonest tokens, say); the rows of the output matrix for those
are a fifth of it, which is what a wide draft pass on a CPU spends a quarter of its time on otherwise. Tokens
outside were never trained as drafts, so their scores mean nothing.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from model.base import Base
from model.heads import HeadSet
from model.packed import Packed


class DraftVocab:
    """limit: ids from here on (MASK and unused rows) are never drafted. ids: the vocabulary [V'] on the
    device.
    """

    def __init__(self, base: Base, heads: HeadSet | None, limit: int) -> None:
        self._base, self._limit = base, limit
        vocab = heads.draft_vocab if heads is not None else torch.empty(0, dtype=torch.int64)
        self._rows: torch.Tensor | Packed | None = None
        if vocab.numel():
            self.ids = vocab[vocab < limit].to(base.device)
            rows = base.head_weight()[self.ids]
            self._rows = Packed(rows) if base.device.type == "cpu" else rows
        else:
            self.ids = torch.arange(limit, device=base.device)

    @torch.inference_mode()
    def logits(self, h_TD: torch.Tensor) -> torch.Tensor:
        """[T, V'] in float32."""
        if self._rows is None:
            return self._base.logits(h_TD[None])[0, :, : self._limit].float()
        rows = self._rows
        return (rows(h_TD) if isinstance(rows, Packed) else F.linear(h_TD, rows)).float()
