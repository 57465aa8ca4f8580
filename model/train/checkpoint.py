"""Checkpoints of a run: written whole or not at all, so that a kill at any moment loses at most the steps
since the last.

    RUN/checkpoints/step-0000500/state.pt      parameters (float32 masters), optimizer, position in the run
    RUN/checkpoints/step-0000500/heads/        the same heads as a heads folder, ready to use

A checkpoint is written under a temporary name, flushed, then renamed. The two newest are kept.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model.errors import ModelError

KEEP = 2
PREFIX, PARTIAL = "step-", ".partial-"


class CheckpointError(ModelError):
    """A checkpoint that could not be written or read; earlier ones are untouched."""


def save(run: Path, step: int, state: dict[str, Any], write_heads: Callable[[Path], None]) -> Path:
    """Write the checkpoint of `step` and drop the oldest. Raises CheckpointError when the disk is full."""
    root = run / "checkpoints"
    final, partial = root / f"{PREFIX}{step:07d}", root / f"{PARTIAL}{step:07d}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        torch.save(state, partial / "state.pt")
        write_heads(partial / "heads")
        _flush(partial)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
    except (OSError, RuntimeError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
        # torch reports a short write as RuntimeError, without the cause.
        full = full or shutil.disk_usage(run).free < 1 << 20
        last = latest(run)
        kept = f"; {last.name} is intact, resume from it" if last else ""
        why = "the disk is full: free some space" if full else str(error).splitlines()[0]
        raise CheckpointError(f"checkpoint of step {step} was not written ({why}){kept}") from error
    for old in listed(run)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def load(checkpoint: Path, device: torch.device) -> dict[str, Any]:
    """Raises CheckpointError when the file is missing or damaged."""
    try:
        state: dict[str, Any] = torch.load(checkpoint / "state.pt", map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint} cannot be read ({error}); delete it and resume from an earlier one"
        ) from error
    return state


def listed(run: Path) -> list[Path]:
    """Complete checkpoints, oldest first; leftovers of a killed save are not among them."""
    return sorted((run / "checkpoints").glob(f"{PREFIX}*"))


def latest(run: Path) -> Path | None:
    found = listed(run)
    return found[-1] if found else None


def clear_partial(run: Path) -> None:
    """Remove what a kill in the middle of a save left behind."""
    for path in (run / "checkpoints").glob(f"{PARTIAL}*"):
        shutil.rmtree(path, ignore_errors=True)


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
