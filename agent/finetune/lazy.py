"""A model that is loaded when it is first asked, and whose memory is given back before the next one."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from model.request import Model


class LazyModel:
    """A model that is loaded when it is first asked, so that a finished stage loads none."""

    def __init__(self, open_model: Callable[[], Model]) -> None:
        self._open = open_model
        self._model: Model | None = None

    def __getattr__(self, name: str) -> Any:
        if self._model is None:
            self._model = self._open()
        return getattr(self._model, name)

    def drop(self) -> None:
        self._model = None
        release_memory()


def release_memory() -> None:
    """Give memory back before the next model is loaded."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
