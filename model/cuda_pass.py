"""A pass of fixed layout over the runner's own cache, as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch

from model.graphs import capture
from model.kernels.attention import Beside, attend
from model.kernels.pointwise import norm_heads
from model.roles import Role

if TYPE_CHECKING:
    from model.cuda import CudaRunner

Layout = tuple[int, int, int]
"""Padded widths of the CLEAN, DRAFT and LENGTH parts."""


Norms = tuple[torch.Tensor, torch.Tensor, float] | None
"""Weights of the q and k norms and their epsilon, for families that have them."""


class Memory(Protocol):
    """Keys and values of a pass: rotate, write, attend. fused [T, (H + 2 G) K], which may be overwritten."""

    def attend(self, index: int, fused: torch.Tensor, norms: Norms, out_THK: torch.Tensor) -> None: ...


@dataclass(frozen=True, slots=True)
class OnePass:
    """The runner's own cache: one row, all roles. fields: role, position, block, begin [4, T] int32. beside:
    siblings, as attention takes them.
    """

    owner: CudaRunner
    fields: torch.Tensor
    reach: int
    beside: Beside | None = None

    def attend(self, index: int, fused: torch.Tensor, norms: Norms, out_THK: torch.Tensor) -> None:
        owner = self.owner
        keys, values = owner.kv.keys[index, 0], owner.kv.values[index, 0]
        role, position, block, begin = self.fields.unbind(0)
        if norms is not None:
            norm_heads(fused, out_THK.shape[1], keys.shape[0], norms)
        attend(
            fused, owner.turn, keys, values, (role, position, block, begin), owner.device_length,
            self.reach, owner.attention, out_THK, self.beside,
        )  # fmt: skip


class GraphPass:
    """One captured pass: `x` and `fields` in; `replay()` gives the states of what they hold now."""

    def __init__(self, owner: CudaRunner, layout: Layout, reach: int) -> None:
        T = sum(layout)
        device = owner.device
        self.x = torch.zeros(T, owner.base.config.hidden, dtype=owner.base.dtype, device=device)
        # Rows: role, position, block, begin; one copy fills them all.
        self.fields = torch.zeros(4, T, dtype=torch.int32, device=device)
        self.fields[0] = -1
        route = []
        start = 0
        for role, width in zip((Role.CLEAN, Role.DRAFT, Role.LENGTH), layout, strict=True):
            head = owner.head_of.get(role)
            if width and head is not None:
                route.append((start, start + width, head))
            start += width
        self.replay: Callable[[], torch.Tensor] = capture(
            partial(owner.forward, self.x, self.fields, route, reach), device
        )
