"""LoRA by role: a converter that swaps projections for ones that add a head's low-rank update to its own
tokens.

    mount(base, "diffusion_head", LoraSpec(128, 256, ("q_proj", "k_proj", "v_proj", "o_proj")))
    base(x, positions, attention, route=(Segment(4, 20, "diffusion_head"),))

y = W x for all tokens, then y += alpha / r * B (A x) on the columns of each segment whose head is mounted
here: one small matmul a segment, no weights gathered per token (Hu et al. 2021, arXiv 2106.09685). B starts
at zero, so a fresh head is the base bit for bit. Adapters may be kept in float32 for training; they are
cast to the compute dtype in the forward pass. The model classes know nothing of this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from model.base import Base
from model.errors import WeightsError
from model.projection import Projection
from model.roles import Route

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """r 0: no adapter at all; the head's tokens run on the base's own weights."""

    r: int
    alpha: float
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.targets) - set(TARGETS))
        if unknown or not self.targets or self.r < 0:
            raise WeightsError(
                f"a LoRA head needs r >= 0 and targets out of {', '.join(TARGETS)}; "
                f"got r={self.r}, targets={', '.join(unknown or self.targets) or 'none'}"
            )

    @property
    def scale(self) -> float:
        return self.alpha / self.r


class Adapter(nn.Module):
    """One head on one projection. a [parts * r, in]: the parts' A stacked; b: part -> [out of the part,
    r].
    """

    def __init__(self, parts: dict[str, int], features_in: int, spec: LoraSpec, dtype: torch.dtype) -> None:
        super().__init__()
        self.r, self.scale = spec.r, spec.scale
        self.a = nn.Parameter(torch.empty(len(parts) * spec.r, features_in, dtype=dtype))
        self.b = nn.ParameterDict({p: torch.zeros(width, spec.r, dtype=dtype) for p, width in parts.items()})
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def down(self, part: str) -> torch.Tensor:
        """A [r, in] of one part, a view."""
        index = list(self.b).index(part)
        return self.a[index * self.r : (index + 1) * self.r]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The update of each part, in the parts' order."""
        z = F.linear(x, self.a.to(x.dtype)) * self.scale
        return [
            F.linear(z[..., i * self.r : (i + 1) * self.r], b.to(x.dtype))
            for i, b in enumerate(self.b.values())
        ]


class RoutedProjection(Projection):
    """A projection with adapters. `inner` may be any projection, packed or quantised."""

    def __init__(self, inner: Projection) -> None:
        super().__init__(inner.features_in, inner.parts)
        self.inner = inner
        self.adapters = nn.ModuleDict()
        self.span = {part: (start, stop) for part, start, stop in inner.rows()}

    def forward(self, x_BTD: torch.Tensor, route: Route) -> torch.Tensor:
        y_BTO = self.inner(x_BTD, route)
        for segment in route:
            if segment.head not in self.adapters:
                continue
            adapter = cast("Adapter", self.adapters[segment.head])
            columns = slice(segment.start, segment.stop)
            for part, update in zip(adapter.b, adapter(x_BTD[:, columns]), strict=True):
                start, stop = self.span[part]
                y_BTO[:, columns, start:stop] += update
        return y_BTO


def mount(base: Base, head: str, spec: LoraSpec, dtype: torch.dtype | None = None) -> list[nn.Parameter]:
    """Add a fresh head (B = 0) to every targeted projection. Returns its parameters, in order.

    dtype: of the adapter (None: the base's). Raises WeightsError when the base has none of a target, as the
    sparse layers of a mixture of experts have no MLP projections.
    """
    found: set[str] = set()
    parameters: list[nn.Parameter] = []
    if not spec.r:
        return parameters
    for owner, attribute, projection in list(base.projections()):
        parts = {part: width for part, width in projection.parts.items() if part in spec.targets}
        if not parts:
            continue
        if not isinstance(projection, RoutedProjection):
            projection = RoutedProjection(projection)
            setattr(owner, attribute, projection)
        adapter = Adapter(parts, projection.features_in, spec, dtype or base.dtype).to(base.device)
        projection.adapters[head] = adapter
        parameters += [adapter.a, *adapter.b.values()]
        found |= set(parts)
    missing = sorted(set(spec.targets) - found)
    if missing:
        unmount(base, head)
        names = ", ".join(missing)
        raise WeightsError(f"this base has no {names}: take them out of the head's target_modules")
    return parameters


def share(base: Base, heads: Sequence[str]) -> None:
    """Let mounted heads of equal ranks and targets be one: all use the adapters of the first."""
    for _, _, projection in base.projections():
        if isinstance(projection, RoutedProjection) and heads[0] in projection.adapters:
            for name in heads[1:]:
                projection.adapters[name] = projection.adapters[heads[0]]


def unmount(base: Base, head: str) -> None:
    """Take a head away again; projections without heads become what they were."""
    for owner, attribute, projection in list(base.projections()):
        if isinstance(projection, RoutedProjection):
            if head in projection.adapters:
                del projection.adapters[head]
            if not projection.adapters:
                setattr(owner, attribute, projection.inner)


def adapters(base: Base, head: str) -> Iterator[tuple[str, Adapter, str]]:
    """(checkpoint name of the projection, adapter, part) of a mounted head:
    `model.layers.0.self_attn.q_proj`.
    """
    where = {"qkv": "self_attn", "o": "self_attn", "gate_up": "mlp", "down": "mlp"}
    for i, layer in enumerate(base.layers):
        for attribute, prefix in where.items():
            owner = layer if prefix == "self_attn" else layer.mlp
            projection = getattr(owner, attribute, None)
            if isinstance(projection, RoutedProjection) and head in projection.adapters:
                adapter = cast("Adapter", projection.adapters[head])
                for part in adapter.b:
                    yield f"model.layers.{i}.{prefix}.{part}", adapter, part
