"""Reference values kept on disk, so that judging a wrong answer again does not run the reference again.

Digests tell right from different; where an answer differs, the reference's value itself is compared. One file
a task holds the values asked for so far, in the strict codec (no pickle), under the key that names all that
decides them. A file that is damaged, cut, or belongs to another key counts as absent, and a value is used
only if the codec can read it. Nothing here fails a run: with an unwritable folder the reference runs again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import verify.codec
from model.wholefile import write_whole

# Larger values, in hex digits, are computed again rather than kept; a task's file ends at MAX_FILE.
MAX_VALUE = 1 << 16
MAX_FILE = 1 << 22


class ValueStore:
    """Lines of `evals.inside.runner` (`=` and the value in hex) by input number. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._memory: dict[str, dict[int, str]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, wanted: Iterable[int]) -> dict[int, str]:
        """Those of the wanted values that are kept and readable."""
        with self._lock:
            kept = self._kept(key)
            return {index: kept[index] for index in wanted if index in kept and _readable(kept[index])}

    def keep(self, key: str, lines: Mapping[int, str]) -> None:
        """Add values; what is no value (an exception, a time limit) or too large is left out."""
        fresh = {i: line for i, line in lines.items() if line.startswith("=") and len(line) <= MAX_VALUE}
        with self._lock, contextlib.suppress(OSError):
            kept = self._kept(key)
            for index, line in fresh.items():
                if sum(map(len, kept.values())) + len(line) > MAX_FILE:
                    break
                kept[index] = line
            if fresh:
                text = json.dumps({str(index): kept[index] for index in sorted(kept)})
                path = self._path(key)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, json.dumps({"key": key, "sha256": _sum(text), "lines": text}))

    def _kept(self, key: str) -> dict[int, str]:
        if key not in self._memory:
            self._memory[key] = _load(self._path(key), key)
        return self._memory[key]

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.values.json"


def _load(path: Path, key: str) -> dict[int, str]:
    try:
        row = json.loads(path.read_text())
        if row["key"] != key or row["sha256"] != _sum(row["lines"]):
            return {}
        return {int(index): str(line) for index, line in json.loads(row["lines"]).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _readable(line: str) -> bool:
    try:
        verify.codec.build(verify.codec.parse(bytes.fromhex(line[1:])))
    except (ValueError, TypeError):
        return False
    return line.startswith("=")


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
