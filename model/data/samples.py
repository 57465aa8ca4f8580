"""Token samples on disk: prompts and answers as ids, in one `.npz` file.

A sample is a prompt and its answer; an empty answer is a prompt still to be answered. The file names the
tokenizer and the base that answered, so that a trainer can refuse a mismatch.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.packages import DataError
from model.wholefile import beside

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Sample:
    """finished: the answer ended by itself (EOS), not at a length limit. kind: form of the prompt."""

    prompt: Ids
    answer: Ids
    finished: bool = False
    kind: str = ""


@dataclass(slots=True)
class Samples:
    """A list of samples with `meta` (tokenizer, base, split, ...)."""

    items: list[Sample]
    meta: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.items)

    def __getitem__(self, index: int) -> Sample:
        return self.items[index]

    @property
    def answer_tokens(self) -> int:
        return sum(len(s.answer) for s in self.items)

    def save(self, path: Path) -> None:
        """Write atomically. Kinds are stored as indices into a table in the header."""
        kinds = sorted({s.kind for s in self.items})
        header = json.dumps({**self.meta, "kinds": kinds})
        with beside(path) as work, work.open("wb") as handle:
            np.savez_compressed(
                handle,
                tokens=np.concatenate(
                    [*(part for s in self.items for part in (s.prompt, s.answer)), np.zeros(0, np.int32)]
                ),
                lengths=np.array([(len(s.prompt), len(s.answer)) for s in self.items], np.int32).reshape(
                    -1, 2
                ),
                finished=np.array([s.finished for s in self.items], np.bool_),
                kind=np.array([kinds.index(s.kind) for s in self.items], np.int16),
                header=np.frombuffer(header.encode(), np.uint8),
            )

    @classmethod
    def load(cls, path: Path) -> Samples:
        """Raises DataError when the file is missing, damaged or of another kind."""
        try:
            with np.load(path, allow_pickle=False) as file:
                header = json.loads(file["header"].tobytes())
                tokens, lengths = file["tokens"].astype(np.int32), file["lengths"]
                finished, kind = file["finished"], file["kind"]
        except FileNotFoundError as error:
            raise DataError(
                f"no samples at {path}; make them with `model data build` and `model data answer`"
            ) from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{path} is no sample file ({error}); build it again with `model data build`"
            ) from error
        kinds = header.pop("kinds")
        ends = np.cumsum(lengths.reshape(-1))
        parts = np.split(tokens, ends[:-1]) if len(ends) else []
        items = [
            Sample(parts[2 * i], parts[2 * i + 1], bool(finished[i]), kinds[kind[i]])
            for i in range(len(lengths))
        ]
        return cls(items, header)
