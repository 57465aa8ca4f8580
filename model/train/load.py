"""A trained set of heads on its base, ready for measuring."""

from __future__ import annotations

from pathlib import Path

import torch

from model import store
from model.base import Base
from model.checkpoint import base_sha256
from model.heads import HeadSet
from model.tokenizer import Tokenizer
from model.train.config import TrainConfig
from model.train.forward import PackedForward


def load_forward(heads: Path, base: str) -> PackedForward:
    """Raises WeightsError when the heads belong to another base."""
    folder = store.resolve(base)
    cuda = torch.cuda.is_available()
    loaded = Base.load(
        folder, dtype=torch.bfloat16 if cuda else torch.float32, device="cuda" if cuda else "cpu"
    )
    made = HeadSet.load(
        heads,
        loaded,
        base_sha256=base_sha256(folder),
        tokenizer_sha256=Tokenizer(folder).sha256,
    )
    return PackedForward(loaded, made, TrainConfig())
