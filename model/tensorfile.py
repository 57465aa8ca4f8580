"""Writes a safetensors file one tensor at a time, so memory stays at one tensor however large the checkpoint
is.

`safetensors.torch.save_file` wants every tensor at once; the format itself is a length, a JSON header and
the bytes. The same tensors give the same bytes on every machine, so the file's sha256 names the weights.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1}


@dataclass(frozen=True, slots=True)
class Spec:
    """A tensor to write: name, safetensors dtype (`BF16`, `F32`, `F8_E4M3`, ...) and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return _BYTES[self.dtype] * math.prod(self.shape)


def write(
    path: Path,
    specs: list[Spec],
    produce: Callable[[Spec], Iterable[torch.Tensor]],
    progress: Callable[[int], None] = lambda _: None,
) -> str:
    """Write `specs` in their order and return the file's sha256.

    produce gives each tensor in one or several pieces, split along the first axis, already in the spec's
    dtype. progress is told the bytes of each piece. Raises OSError when the disk is full; the caller removes
    the file.
    """
    import torch

    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for spec in specs:
        header[spec.name] = {
            "dtype": spec.dtype,
            "shape": list(spec.shape),
            "data_offsets": [offset, offset + spec.nbytes],
        }
        offset += spec.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with path.open("wb") as file:

        def put(data: bytes | memoryview) -> None:
            file.write(data)
            digest.update(data)

        put(len(text).to_bytes(8, "little"))
        put(text)
        for spec in specs:
            written = 0
            for piece in produce(spec):
                data = memoryview(piece.contiguous().flatten().view(torch.uint8).numpy().data)
                put(data)
                written += len(data)
                progress(len(data))
            if written != spec.nbytes:
                raise ValueError(f"{spec.name}: {written} bytes produced, {spec.nbytes} declared")
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
