"""The sparse MLP of Qwen3-MoE: a softmax router picks k of E experts for each token.

The tokens of an expert are computed together; an expert that no token chose is not read. Weights of all
experts are stacked, gate and up fused. This is the plain torch reference.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from model.projection import rows_linear
from model.roles import Route


class Experts(nn.Module):
    """router [E, D]; gate_up [E, 2 * I, D]; down [E, D, I]."""

    def __init__(self, hidden: int, intermediate: int, experts: int, chosen: int, normalise: bool) -> None:
        super().__init__()
        self.chosen, self.normalise = chosen, normalise
        self.router = nn.Parameter(torch.empty(experts, hidden), requires_grad=False)
        self.gate_up = nn.Parameter(torch.empty(experts, 2 * intermediate, hidden), requires_grad=False)
        self.down = nn.Parameter(torch.empty(experts, hidden, intermediate), requires_grad=False)

    def choose(self, x_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and ids [N, k] of each token's experts."""
        probability = rows_linear(x_ND, self.router).float().softmax(-1)
        weight, ids = probability.topk(self.chosen, dim=-1)
        if self.normalise:
            weight = weight / weight.sum(-1, keepdim=True)
        return weight.to(x_ND.dtype), ids

    def project(self, x_ND: torch.Tensor, index: int, part: str) -> torch.Tensor:
        """x through the matrix `part` (gate_up or down) of one expert."""
        return rows_linear(x_ND, getattr(self, part)[index])

    def forward(self, x_BTD: torch.Tensor, route: Route) -> torch.Tensor:
        x_ND = x_BTD.reshape(-1, x_BTD.shape[-1])
        weight, ids = self.choose(x_ND)
        out = torch.zeros_like(x_ND)
        for index in torch.unique(ids).tolist():
            token, slot = (ids == index).nonzero(as_tuple=True)
            gate, up = self.project(x_ND[token], index, "gate_up").chunk(2, dim=-1)
            y = self.project(F.silu(gate) * up, index, "down") * weight[token, slot, None]
            out.index_add_(0, token, y)
        return out.view_as(x_BTD)
