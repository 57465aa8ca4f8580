"""In the place of compiled flex attention: dense attention, and a count of what a GPU would compile.

Dynamo keeps eight variants of a function; from the ninth on it runs uncompiled, with all scores in memory.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from model.train import attention


class CompiledShapes:
    """Variants asked for: by the arguments' shapes, the rule, and the numbers and shapes that it holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.masks: set[tuple[Any, ...]] = set()
        self.passes: set[tuple[Any, ...]] = set()
        monkeypatch.setattr(attention, "_flex", lambda: (self._attend, self._make_mask))

    def _make_mask(self, rule: Any, rows: int, heads: None, queries: int, keys: int, *, device: Any) -> Any:
        held = [cell.cell_contents for cell in rule.__closure__]
        held = [tuple(x.shape) if isinstance(x, torch.Tensor) else x for x in held]
        key = (rule.__code__, *held, rows, queries, keys)
        self.masks.add(key)
        row, q, k = (torch.arange(size, device=device) for size in (rows, queries, keys))
        row = row[:, None, None]
        return key, rule(row, row, q[None, :, None], k[None, None, :])[:, None]

    def _attend(self, q: Any, k: Any, v: Any, *, block_mask: Any, enable_gqa: bool) -> Any:
        key, mask = block_mask
        trained = torch.is_grad_enabled() and q.requires_grad
        self.passes.add((*q.shape, *k.shape, trained, key))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=enable_gqa)
