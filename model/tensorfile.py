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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SHARD_BYTES = 4_000_000_000

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


def write_shards(
    folder: Path,
    specs: list[Spec],
    produce: Callable[[Spec], Iterable[torch.Tensor]],
    progress: Callable[[int], None] = lambda _: None,
    shard_bytes: int = SHARD_BYTES,
    threads: int = 1,
) -> dict[str, str]:
    """Write `specs` as `model-00001-of-0000N.safetensors` and their index, or as one `model.safetensors`.
    threads: shards written at once; `produce` and `progress` must then be thread-safe.

    Returns {file: sha256}. A tensor whose name continues its predecessor's (a weight's scales) stays with it.
    """
    shards: list[list[Spec]] = [[]]
    size, before = 0, ""
    for spec in specs:
        follows = bool(before) and spec.name.startswith(before)
        if shards[-1] and not follows and size + spec.nbytes > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(spec)
        size += spec.nbytes
        before = spec.name
    if len(shards) == 1:
        return {"model.safetensors": write(folder / "model.safetensors", specs, produce, progress)}
    names = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    with ThreadPoolExecutor(threads) as pool:
        made = pool.map(lambda name, shard: write(folder / name, shard, produce, progress), names, shards)
        hashes = dict(zip(names, made, strict=True))
    where = {spec.name: name for name, shard in zip(names, shards, strict=True) for spec in shard}
    index = {"metadata": {"total_size": sum(spec.nbytes for spec in specs)}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return hashes
