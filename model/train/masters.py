"""float32 masters of the base's weights, for full fine-tuning.

The forward and backward passes use the weights in the compute dtype; the optimizer sees float32 copies, since
a bf16 weight would swallow most of its steps. A weight's gradient moves to its master as soon as it is there,
so no two gradients of the whole model are held. On the CPU the weights are float32 and their own masters.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from model.base import Base


class Masters:
    """All weights of the layers and of the last norm; the embedding stays frozen."""

    def __init__(self, base: Base) -> None:
        self._pairs: list[tuple[str, nn.Parameter, nn.Parameter]] = []
        for name, weight in base.named_parameters():
            if not name.startswith(("layers.", "norm.")):
                continue
            weight.requires_grad_(True)
            master = weight
            if weight.dtype != torch.float32:
                master = nn.Parameter(weight.detach().float())
                weight.register_post_accumulate_grad_hook(partial(_move, master))  # type: ignore[no-untyped-call]  # untyped in torch
            self._pairs.append((f"base.{name}", master, weight))

    def named(self) -> Iterator[tuple[str, nn.Parameter]]:
        """(name, master), in order."""
        for name, master, _ in self._pairs:
            yield name, master

    @torch.no_grad()
    def write_back(self, *hook: Any) -> None:
        """Round the masters into the weights; a hook for after the optimizer's step."""
        for _, master, weight in self._pairs:
            if master is not weight:
                weight.copy_(master)


def _move(master: nn.Parameter, weight: torch.Tensor) -> None:
    if weight.grad is not None:
        grad = weight.grad.float()
        master.grad = grad if master.grad is None else master.grad + grad
        weight.grad = None
