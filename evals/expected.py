"""Expected outputs, found by running a task's reference solution once in a sandbox and kept as digests.

The store holds one small JSON file a task, named by a hash of all that decides the outputs (reference,
inputs, runner, codec, Python version): no pickle, nothing to invalidate. A digest is enough for the common
case, where a right output equals the reference's; where it differs, the values themselves (`evals.values`)
are compared by `evals.oracles`. An entry that is damaged or of another key is computed again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import platform
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import verify.codec
from evals.errors import DataError, InfrastructureError
from evals.runner import Inputs, runner_source
from evals.values import ValueStore
from model.wholefile import write_whole

if TYPE_CHECKING:
    from evals.runner import InputRunner

REFERENCE_LIMIT_S = 60.0
_DIGEST = re.compile(r"[0-9a-f]{32}|\?")


@dataclass(frozen=True, slots=True)
class Expected:
    """digests: one an input, `?` where the value has none. total_s: the reference's time over all inputs.

    slow: its CPU seconds on inputs that take it long.
    """

    digests: tuple[str, ...]
    total_s: float
    slow: dict[int, float]


class ExpectedStore:
    """Content-addressed files under `folder`. Thread-safe: threads that want one entry wait for the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values = ValueStore(folder)
        self._memory: dict[str, Expected] = {}
        self._locks: dict[str, threading.Lock] = {}

    def get(self, task_id: str, inputs: Inputs, reference: str, runner: InputRunner) -> Expected:
        """From the store, else computed and stored. Raises DataError when the reference itself fails."""
        key = self.key(inputs, reference)
        with self._locks.setdefault(key, threading.Lock()):
            found = self._known(key, inputs)
            if found is None:
                found = self._compute(task_id, inputs, reference, runner)
                path = self._path(key)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, json.dumps({"key": key, **dataclasses.asdict(found)}))
                self._memory[key] = found
        return found

    def known(self, inputs: Inputs, reference: str) -> Expected | None:
        """What the store holds, if it does."""
        return self._known(self.key(inputs, reference), inputs)

    def _known(self, key: str, inputs: Inputs) -> Expected | None:
        if key not in self._memory:
            found = _load(self._path(key), key, len(inputs))
            if found is None:
                return None
            self._memory[key] = found
        return self._memory[key]

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def key(self, inputs: Inputs, reference: str) -> str:
        """A hash of all that decides what the reference gives: two tasks that agree in it share an entry."""
        digest = hashlib.sha256()
        ours = (platform.python_version(), runner_source(), inspect.getsource(verify.codec))
        for part in (*ours, reference, inputs.entry, inputs.view, inputs.fingerprint):
            digest.update(f"{len(part)}:{part}".encode())
        return digest.hexdigest()

    def _compute(self, task_id: str, inputs: Inputs, reference: str, runner: InputRunner) -> Expected:
        run = runner.run(reference, inputs, limit_s=REFERENCE_LIMIT_S)
        if run.infra:
            raise InfrastructureError(f"{task_id}: the reference solution could not be run: {run.detail}")
        bad = next((i for i, line in enumerate(run.lines) if line[0] in "!TW"), None)
        if bad is not None or len(run.lines) != len(inputs):
            what = run.lines[bad] if bad is not None else run.detail
            raise DataError(
                f"{task_id}: its own reference solution fails on input {bad}: {what}; the data is damaged"
            )
        return Expected(run.lines, run.wall_s, run.slow)


def _load(path: Path, key: str, count: int) -> Expected | None:
    try:
        row: dict[str, Any] = json.loads(path.read_text())
        if row["key"] != key:
            return None
        slow = {int(index): float(seconds) for index, seconds in row["slow"].items()}
        found = Expected(tuple(row["digests"]), float(row["total_s"]), slow)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    whole = len(found.digests) == count and all(map(_DIGEST.fullmatch, found.digests))
    seconds = (found.total_s, *found.slow.values())
    return found if whole and all(0 <= s < REFERENCE_LIMIT_S * count for s in seconds) else None
