"""Tiny engines that the tests of several decoders share."""

from __future__ import annotations

import pytest

from model.engine import Engine
from tests.model.tiny_engines import make_engine


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> list[Engine]:
    """Tiny models with random heads: two precisions, three families."""
    root = tmp_path_factory.mktemp("engines")
    return [
        make_engine(root, "qwen2"),
        make_engine(root, "qwen2", 1, "bf16"),
        make_engine(root, "qwen3", 2),
        make_engine(root, "qwen3_moe", 3),
    ]
