"""A trained set of heads on its base, ready for measuring or for answering."""

from __future__ import annotations

from pathlib import Path

import torch

from model import store
from model.base import Base
from model.checkpoint import base_sha256
from model.errors import WeightsError
from model.heads import HeadSet
from model.roles import Role
from model.tokenizer import Tokenizer
from model.train.config import TrainConfig
from model.train.forward import PackedForward


def load_forward(heads: Path, base: str) -> PackedForward:
    """Raises WeightsError when the heads belong to another base."""
    loaded = _load_base(base)
    return PackedForward(loaded, _load_heads(heads, base, loaded), TrainConfig())


def load_speaker(base: str, heads: Path | None = None) -> tuple[Base, str | None]:
    """The base and the name of its mounted AR head (None without `heads`: the base itself speaks). Raises
    WeightsError for heads of another base, or without an AR head."""
    loaded = _load_base(base)
    if heads is None:
        return loaded, None
    names = _load_heads(heads, base, loaded).config.of_role(Role.CLEAN)
    if not names:
        raise WeightsError(f"{heads} has no AR head (role clean); leave --heads out, the base itself answers")
    return loaded, names[0]


def place() -> torch.device:
    """Where it is loaded."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _load_base(base: str) -> Base:
    device = place()
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return Base.load(store.resolve(base), dtype=dtype, device=device)


def _load_heads(heads: Path, name: str, base: Base) -> HeadSet:
    folder = store.resolve(name)
    return HeadSet.load(
        heads, base, base_sha256=base_sha256(folder), tokenizer_sha256=Tokenizer(folder).sha256
    )
