"""A batch on a device."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch

from model.train.packing import Batch


class Tensors:
    """Named tensors on a device. Made off the training thread: pinning and copying take time."""

    def __init__(self, device: torch.device, **arrays: Any) -> None:
        for name, array in arrays.items():
            value = torch.from_numpy(array)
            if device.type == "cuda":
                value = value.pin_memory().to(device, non_blocking=True)
            setattr(self, name, value)

    @classmethod
    def of(cls, batch: Batch, device: torch.device, rows: slice = slice(None)) -> Tensors:
        """The fields of a Batch, under the same names. rows: those of this process."""
        arrays = {f.name: getattr(batch, f.name) for f in fields(batch)}
        counts = {name: arrays.pop(name) for name in ("refined_N", "ordered_N", "seed")}
        made = cls(device, **{name: array[rows] for name, array in arrays.items()})
        made.rows, made.all_rows = rows, len(batch.ids_RT)
        for name, value in counts.items():
            setattr(made, name, value)
        return made

    @classmethod
    def like(cls, other: Tensors, **changed: torch.Tensor) -> Tensors:
        """The same tensors, those named replaced."""
        made = cls.__new__(cls)
        made.__dict__.update(other.__dict__ | changed)
        return made

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    refined_N: int = 0  # noqa: N815 - shape suffix
    ordered_N: int = 0  # noqa: N815 - shape suffix
    seed: tuple[int, ...] = ()
    rows: slice = slice(None)
    all_rows: int = 0

    def noise(self, *shape: int, generator: torch.Generator) -> torch.Tensor:
        """Uniform [R, *shape] for these rows, as drawn for all rows of the global batch."""
        return torch.rand((self.all_rows or len(self.anchor_RN), *shape), generator=generator)[self.rows]
