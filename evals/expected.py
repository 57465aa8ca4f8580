"""Expected outputs, found by running a task's reference solution once in a sandbox and kept as digests.

The store holds one small JSON file a task, named by a hash of all that decides the outputs (reference,
inputs, runner, Python version): no pickle, nothing to invalidate. A digest is enough for the common case,
where a right output equals the reference's; where it differs, the values themselves are computed again and
compared by `evals.oracles`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.errors import DataError, InfrastructureError
from evals.rundir import write_atomic
from evals.runner import Inputs, runner_source

if TYPE_CHECKING:
    from evals.runner import InputRunner

REFERENCE_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Expected:
    """digests: one an input, `?` where the value has none. total_s: the reference's time over all inputs.

    slow: its CPU seconds on inputs that take it long.
    """

    digests: tuple[str, ...]
    total_s: float
    slow: dict[int, float]


class ExpectedStore:
    """Content-addressed files under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._memory: dict[str, Expected] = {}

    def get(self, task_id: str, inputs: Inputs, reference: str, runner: InputRunner) -> Expected:
        """From the store, else computed and stored. Raises DataError when the reference itself fails."""
        found = self.known(inputs, reference)
        if found is None:
            found = self._compute(task_id, inputs, reference, runner)
            path = self._path(self._key(inputs, reference))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps(dataclasses.asdict(found)))
        return found

    def known(self, inputs: Inputs, reference: str) -> Expected | None:
        """What the store holds, if it does."""
        key = self._key(inputs, reference)
        if key not in self._memory:
            found = _load(self._path(key), len(inputs))
            if found is None:
                return None
            self._memory[key] = found
        return self._memory[key]

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def _key(self, inputs: Inputs, reference: str) -> str:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        digest = hashlib.sha256()
        for part in (version, runner_source(), reference, inputs.entry, inputs.view, inputs.fingerprint):
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


def _load(path: Path, count: int) -> Expected | None:
    try:
        row: dict[str, Any] = json.loads(path.read_text())
        slow = {int(index): float(seconds) for index, seconds in row["slow"].items()}
        found = Expected(tuple(row["digests"]), float(row["total_s"]), slow)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return found if len(found.digests) == count else None
