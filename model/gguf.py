"""Reads GGUF files: the header (metadata, tensor table) and the dequantised tensors, piece by piece.

The `gguf` package's numpy dequantisers do the arithmetic. Its reader builds a numpy array for every one of
the 450,000 vocabulary strings (11 s); the header here is read with `struct` in under a second and checked
against the file's size, so that a damaged file is named as such.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from model.errors import WeightsError

if TYPE_CHECKING:
    import torch

# The value types of the format; 8 is a string, 9 an array.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_ITEMS = 1 << 24
_PIECE_ELEMENTS = 1 << 22


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of the file. shape is in torch order (outermost first); qtype is the format's type number."""

    name: str
    shape: tuple[int, ...]
    qtype: int
    offset: int
    nbytes: int

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.nbytes / math.prod(self.shape)


class GGUFFile:
    """An open GGUF file: `metadata`, `tensors` by name, `pieces(entry)`. Raises WeightsError when it is
    damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise WeightsError(f"cannot read {path}: {error.strerror}") from error
        try:
            self._data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            self._file.close()
            raise WeightsError(f"{path} is empty; pull or copy it again") from error
        self._at = 0
        self.metadata: dict[str, Any] = {}
        self.tensors: dict[str, Entry] = {}
        try:
            self._read_header()
        except (struct.error, UnicodeDecodeError, KeyError, ValueError, OverflowError) as error:
            self.close()
            raise WeightsError(
                f"{path} is not a complete GGUF file ({error}); pull or copy it again"
            ) from error

    def __enter__(self) -> GGUFFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._data.close()
        self._file.close()

    def _scalar(self, code: str) -> Any:
        fmt = "<" + code
        (value,) = struct.unpack_from(fmt, self._data, self._at)
        self._at += struct.calcsize(fmt)
        return value

    def _string(self) -> str:
        size = self._scalar("Q")
        if size > len(self._data) - self._at:
            raise ValueError("a string runs past the end")
        text = self._data[self._at : self._at + size].decode("utf-8")
        self._at += size
        return text

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            item, count = self._scalar("I"), self._scalar("Q")
            if count > _MAX_ITEMS:
                raise ValueError("an array is too long")
            if item in (_STRING, _ARRAY):
                return [self._value(item) for _ in range(count)]
            fmt = f"<{count}{_SCALARS[item]}"
            values = struct.unpack_from(fmt, self._data, self._at)
            self._at += struct.calcsize(fmt)
            return list(values)
        return self._scalar(_SCALARS[kind])

    def _read_header(self) -> None:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        if self._data[:4] != b"GGUF":
            raise ValueError("the first four bytes are not 'GGUF'")
        self._at = 4
        version = self._scalar("I")
        if version not in (2, 3):
            raise ValueError(f"version {version}, known are 2 and 3")
        n_tensors, n_values = self._scalar("Q"), self._scalar("Q")
        if n_tensors > _MAX_ITEMS or n_values > _MAX_ITEMS:
            raise ValueError("an impossible number of entries")
        for _ in range(n_values):
            key = self._string()
            self.metadata[key] = self._value(self._scalar("I"))
        found = []
        for _ in range(n_tensors):
            name = self._string()
            shape = tuple(self._scalar("Q") for _ in range(self._scalar("I")))[::-1]
            found.append((name, shape, self._scalar("I"), self._scalar("Q")))
        alignment = int(self.metadata.get("general.alignment", 32))
        start = self._at + -self._at % alignment
        for name, shape, qtype, offset in found:
            block, size = GGML_QUANT_SIZES[GGMLQuantizationType(qtype)]
            if not shape or shape[-1] % block:
                raise ValueError(f"{name} has the impossible shape {shape}")
            nbytes = math.prod(shape) // block * size
            if start + offset + nbytes > len(self._data):
                raise ValueError(f"{name} lies past the end, the file is cut short")
            self.tensors[name] = Entry(name, shape, qtype, start + offset, nbytes)

    def pieces(self, entry: Entry, dtype: torch.dtype) -> Iterator[torch.Tensor]:
        """The dequantised rows of a tensor in order, flattened to [rows, last axis], about 4M elements at a
        time.
        """
        import numpy as np
        import torch
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
        from gguf.quants import dequantize

        qtype = GGMLQuantizationType(entry.qtype)
        width = entry.shape[-1]
        rows = math.prod(entry.shape[:-1])
        block, size = GGML_QUANT_SIZES[qtype]
        row_bytes = width // block * size
        step = max(1, _PIECE_ELEMENTS // width)
        for first in range(0, rows, step):
            count = min(step, rows - first)
            raw = self._data[entry.offset + first * row_bytes : entry.offset + (first + count) * row_bytes]
            array = np.frombuffer(bytearray(raw), dtype=np.uint8).reshape(count, row_bytes)
            if qtype == GGMLQuantizationType.F32:
                values = array.view(np.float32)
            elif qtype == GGMLQuantizationType.F16:
                values = array.view(np.float16)
            else:
                try:
                    values = dequantize(array, qtype)
                except NotImplementedError as error:
                    raise WeightsError(
                        f"{self.path}: cannot dequantise {entry.name}, which is stored as {qtype.name}"
                    ) from error
            yield torch.from_numpy(values).to(dtype)

    def tensor(self, entry: Entry, dtype: torch.dtype) -> torch.Tensor:
        """The whole tensor, dequantised."""
        import torch

        return torch.cat(list(self.pieces(entry, dtype))).reshape(entry.shape)
