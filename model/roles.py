"""Roles of the tokens in one forward pass, and who sees whom.

Every token is CLEAN (prompt and everything committed), DRAFT (the open block, masked or still editable) or
LENGTH (the one query after the prompt). The role picks the head, and `visible` is the reference for
attention:

    query    sees CLEAN keys          sees DRAFT keys        sees LENGTH keys
    CLEAN    at its position or before   never                  never
             (of a sibling: those of the line before it begins, and its own)
    DRAFT    before its block            of its own block       never
    LENGTH   at its position or before   never                  itself

CLEAN tokens never see DRAFT tokens: their keys and values are the same whichever head runs next, so one KV
cache serves all heads. A `Route` says which head runs which columns of a packed pass; tokens are grouped by
head, so an adapter is one matmul on a slice and no weights are gathered per token.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch


class Role(IntEnum):
    CLEAN = 0
    DRAFT = 1
    LENGTH = 2


@dataclass(frozen=True, slots=True)
class Segment:
    """Columns start..stop of a pass (stop None: to its end) run through `head`."""

    start: int
    stop: int | None
    head: str


Route = tuple[Segment, ...]
NO_HEADS: Route = ()


def whole(head: str | None) -> Route:
    """All columns through one head."""
    return () if head is None else (Segment(0, None, head),)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What attention must know of T tokens (all [B, T], on one device).

    role; position: rotary position; block: id of the draft block or sibling (0 for the line and LENGTH);
    begin: position of the first token of the own block or sibling. role -1 marks an empty slot that nobody
    sees. A sibling is a second continuation of the line, CLEAN tokens from some position on (model.drafter).
    """

    role: torch.Tensor
    position: torch.Tensor
    block: torch.Tensor
    begin: torch.Tensor

    @classmethod
    def clean(cls, positions_BT: torch.Tensor) -> Tokens:
        zero = torch.zeros_like(positions_BT)
        return cls(zero, positions_BT, zero, zero)

    def cat(self, other: Tokens) -> Tokens:
        return Tokens(
            torch.cat((self.role, other.role), -1),
            torch.cat((self.position, other.position), -1),
            torch.cat((self.block, other.block), -1),
            torch.cat((self.begin, other.begin), -1),
        )


def visible(query: Tokens, key: Tokens) -> torch.Tensor:
    """bool [B, Tq, Tk]: may the query token attend to the key token? The table in the module docstring."""
    q_role, k_role = query.role[:, :, None], key.role[:, None, :]
    q_pos, k_pos = query.position[:, :, None], key.position[:, None, :]
    # A draft sees clean keys strictly before its block; everyone else up to its own position.
    reach = torch.where(q_role == Role.DRAFT, query.begin[:, :, None] - 1, q_pos)
    same_block = query.block[:, :, None] == key.block[:, None, :]
    sibling = (q_role == Role.CLEAN) & (query.block[:, :, None] > 0)
    line = (key.block[:, None, :] == 0) & ~(sibling & (k_pos >= query.begin[:, :, None]))
    clean = (k_role == Role.CLEAN) & (k_pos <= reach) & (line | (sibling & same_block))
    draft = (q_role == Role.DRAFT) & (k_role == Role.DRAFT) & same_block
    itself = (q_role == Role.LENGTH) & (k_role == Role.LENGTH) & same_block & (q_pos == k_pos)
    return clean | draft | itself
