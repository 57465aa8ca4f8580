"""`Pulled`: a model that was brought into the store, what its record says, and how the way there is told."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model import store

Stage = Literal["hub", "mirror", "check", "convert", "copy"]
Report = Callable[[Stage, int, int], None]

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Pulled:
    """Where a pulled model lies. source: `present` (it was here), `hub`, `mirror`,
    `earlier pull` (fetched before an interruption) or `local`."""

    name: str
    folder: Path
    source: str
    sha256: str


def source_sha(record: dict[str, Any]) -> str:
    """The sha256 that a folder's record names as its source; empty without one."""
    return str(record.get("source", {}).get("sha256", ""))


def record_of(name: str, found: dict[str, str], source: dict[str, str], folder: Path) -> dict[str, Any]:
    """The record of a folder whose tensor files are `found`, {name: sha256}."""
    from model.tokenizer import Tokenizer

    tensors = store.combined_sha256(found)
    return {
        "name": name,
        "source": {"sha256": tensors, **source},
        "tensors_sha256": tensors,
        "tokenizer_sha256": Tokenizer(folder).sha256,
    }


def hash_tensors(folder: Path, report: Report) -> dict[str, str]:
    """{name: sha256} of the folder's tensor files."""
    files = sorted(folder.glob("*.safetensors"))
    total, before = sum(file.stat().st_size for file in files), 0
    found = {}

    def advance(done: int, _: int) -> None:
        report("check", before + done, total)

    for file in files:
        found[file.name] = store.sha256_of(file, advance)
        before += file.stat().st_size
    return found
