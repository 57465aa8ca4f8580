"""Which head serves a role, when a set has several of that role.

`static`: the first head of the role, in the order of the config file; for the infill phase as for the
scaffold. `auto`: a small linear classifier on the prompt's last state scores all heads, and the best of the
role is taken; its weights are trained with the heads and kept in their extras.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from model.roles import Role

if TYPE_CHECKING:
    from model.heads import HeadSet


class RouterHead(nn.Module):
    def __init__(self, hidden: int, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.weight = nn.Parameter(torch.zeros(len(self.names), hidden))

    def forward(self, h_ND: torch.Tensor) -> torch.Tensor:
        """[N, heads] scores from prompt states."""
        return F.linear(h_ND.to(self.weight.dtype), self.weight)


def choose(heads: HeadSet | None, prompt_state_D: torch.Tensor | None = None) -> dict[Role, str]:
    """Role -> head name. Roles without a head are absent: they run on the base.

    CLEAN is chosen before the prompt has been read, so among several CLEAN heads the first one counts.
    """
    if heads is None:
        return {}
    picked: dict[Role, str] = {}
    for role in Role:
        names = heads.config.of_role(role)
        if not names:
            continue
        picked[role] = names[0]
        if role != Role.CLEAN and len(names) > 1 and heads.router is not None and prompt_state_D is not None:
            scores = heads.router(prompt_state_D[None])[0].tolist()
            rank = dict(zip(heads.router.names, scores, strict=True))
            picked[role] = max(names, key=lambda name: rank[name])
    return picked
