"""Rotary position embeddings: the plain form and YaRN (Peng et al. 2023, arXiv 2309.00071).

`rope_table(config)` gives the inverse frequencies and the attention factor once; `rotation(...)` the cos
and sin of any position ids, so positions may repeat (draft blocks) or jump. Values follow transformers'
implementation bit for bit in float32, and are cast to the compute dtype afterwards, as there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

Rotation = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Yarn:
    """factor: how many times longer than `original` positions. The betas bound the ramp, in rotations."""

    factor: float
    original: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None


def _ramp_limit(rotations: float, dim: int, theta: float, positions: int) -> float:
    """The frequency index that turns `rotations` times over the original positions."""
    return dim * math.log(positions / (rotations * 2 * math.pi)) / (2 * math.log(theta))


def rope_table(head_dim: int, theta: float, yarn: Yarn | None) -> tuple[torch.Tensor, float]:
    """Inverse frequencies [head_dim / 2] in float32, and what cos and sin are multiplied with."""
    # On the CPU even while a base is built on the meta device: arithmetic there imports torch._dynamo (3 s).
    exponent = torch.arange(0, head_dim, 2, dtype=torch.int64, device="cpu").float() / head_dim
    inverse = 1.0 / (theta**exponent)
    if yarn is None:
        return inverse, 1.0
    low = max(math.floor(_ramp_limit(yarn.beta_fast, head_dim, theta, yarn.original)), 0)
    high = min(math.ceil(_ramp_limit(yarn.beta_slow, head_dim, theta, yarn.original)), head_dim - 1)
    ramp = (torch.arange(head_dim // 2, dtype=torch.float32, device="cpu") - low) / max(high - low, 0.001)
    extrapolate = 1 - ramp.clamp(0, 1)
    interpolated = 1.0 / (yarn.factor * theta**exponent)
    scale = yarn.attention_factor
    if scale is None:
        scale = 0.1 * math.log(yarn.factor) + 1.0 if yarn.factor > 1 else 1.0
    return interpolated * (1 - extrapolate) + inverse * extrapolate, scale


def rotation(inverse: torch.Tensor, scale: float, positions_BT: torch.Tensor, dtype: torch.dtype) -> Rotation:
    """cos and sin [B, T, 1, head_dim] of position ids [B, T]."""
    angle_BTK = positions_BT[..., None].float() * inverse
    angle_BTK = torch.cat((angle_BTK, angle_BTK), dim=-1)
    cos, sin = angle_BTK.cos() * scale, angle_BTK.sin() * scale
    return cos.to(dtype)[:, :, None], sin.to(dtype)[:, :, None]


def rotate(x_BTHK: torch.Tensor, turn: Rotation) -> torch.Tensor:
    cos, sin = turn
    first, second = x_BTHK.chunk(2, dim=-1)
    return x_BTHK * cos + torch.cat((-second, first), dim=-1) * sin
