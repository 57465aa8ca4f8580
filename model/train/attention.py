"""Who sees whom in a training pass: clean rows of several samples, draft blocks over them, length queries
over them.

The three parts of a packed pass run one after the other, because clean tokens see no others: `CleanPass`
keeps each layer's keys and values, `DraftPass` and `QueryPass` attend to them and to their own. The rules
are those of `model.roles.visible`, per sample. On CUDA the masks are flex-attention block masks; elsewhere
dense ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch.nn import functional as F

from model.base import Attend

Cache = list[tuple[torch.Tensor, torch.Tensor]]
Rule = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def clean_rule(document_RT: torch.Tensor) -> Rule:
    """A clean token sees its own sample up to itself."""

    def rule(row: torch.Tensor, head: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return (document_RT[row, q] == document_RT[row, k]) & (k <= q)

    return rule


def draft_rule(anchor_RN: torch.Tensor, begin_RN: torch.Tensor, size: int, clean: int) -> Rule:
    """A draft token sees the clean tokens of its sample before its block, and its own block. Keys: clean,
    then draft."""

    def rule(row: torch.Tensor, head: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        block = q // size
        before = (k >= begin_RN[row, block]) & (k < anchor_RN[row, block])
        own = (k >= clean) & ((k - clean) // size == block)
        return torch.where(k < clean, before, own)

    return rule


def query_rule(query_RL: torch.Tensor, begin_RL: torch.Tensor, clean: int) -> Rule:
    """A length query sees its prompt, its last token included, and itself. Keys: clean, then queries."""

    def rule(row: torch.Tensor, head: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        prompt = (k >= begin_RL[row, q]) & (k <= query_RL[row, q])
        return torch.where(k < clean, prompt, k - clean == q)

    return rule


class Masked:
    """Attention under one rule, for R rows of `queries` queries and `keys` keys. flex: use flex attention."""

    def __init__(
        self, rule: Rule, rows: int, queries: int, keys: int, device: torch.device, *, flex: bool
    ) -> None:
        self._flex: Any = None
        self._dense: torch.Tensor | None = None
        if flex:
            attend, make_mask = _flex()
            self._flex = attend
            self._block_mask = make_mask(rule, rows, None, queries, keys, device=device)
        else:
            row = torch.arange(rows, device=device)[:, None, None]
            q = torch.arange(queries, device=device)[None, :, None]
            k = torch.arange(keys, device=device)[None, None, :]
            self._dense = rule(row, row, q, k)[:, None]

    def __call__(self, q_BHTK: torch.Tensor, k_BGTK: torch.Tensor, v_BGTK: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor
        if self._flex is not None:
            out = self._flex(q_BHTK, k_BGTK, v_BGTK, block_mask=self._block_mask, enable_gqa=True)
        else:
            out = F.scaled_dot_product_attention(
                q_BHTK, k_BGTK, v_BGTK, attn_mask=self._dense, enable_gqa=True
            )
        return out


@lru_cache(maxsize=1)
def _flex() -> tuple[Any, Any]:
    """Compiled flex attention and mask builder; eager ones would build the whole score matrix."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    return torch.compile(flex_attention, dynamic=False), torch.compile(create_block_mask, dynamic=False)


def _apart(attend: Attend) -> Attend:
    """Keep attention out of compiled layers: it is compiled by itself, once a mask shape, and
    a layer's graph then does not depend on whose cache it reads."""
    disabled: Attend = torch.compiler.disable(attend)  # type: ignore[no-untyped-call]  # untyped in torch
    return disabled


class CleanPass:
    """`Attention` of the clean tokens; keeps keys and values. detach: what is kept is cut from the graph."""

    def __init__(self, masked: Masked, *, detach: bool) -> None:
        self.masked, self.detach = masked, detach
        self.cache: Cache = []

    def layer(self, index: int) -> Attend:
        def attend(q_BHTK: torch.Tensor, k_BGTK: torch.Tensor, v_BGTK: torch.Tensor) -> torch.Tensor:
            kept = (k_BGTK.detach(), v_BGTK.detach()) if self.detach else (k_BGTK, v_BGTK)
            self.cache.append(kept)
            return self.masked(q_BHTK, k_BGTK, v_BGTK)

        return _apart(attend)


class OverClean:
    """`Attention` of tokens that see a clean cache and, by the rule, each other."""

    def __init__(self, masked: Masked, cache: Cache) -> None:
        self.masked, self.cache = masked, cache

    def layer(self, index: int) -> Attend:
        clean_k, clean_v = self.cache[index]

        def attend(q_BHTK: torch.Tensor, k_BGTK: torch.Tensor, v_BGTK: torch.Tensor) -> torch.Tensor:
            k, v = torch.cat((clean_k, k_BGTK), 2), torch.cat((clean_v, v_BGTK), 2)
            return self.masked(q_BHTK, k, v)

        return _apart(attend)
