"""EvalPlus's folder form of samples: a folder a task (`HumanEval_0`), in it a file a sample (`0.py`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.errors import DataError

# More is not read: such a sample fails for its length anyway.
MAX_BYTES = 4 << 20


def read_folder(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file, row) of each sample: tasks by name, their samples by number. Raises DataError.

    As in evalplus, the folder's name with `_` for `/` is the task; other files and folders are not looked at.
    """
    for task in sorted(file for file in path.iterdir() if file.is_dir()):
        for file in sorted(task.glob("*.py"), key=_by_number):
            try:
                with file.open("rb") as opened:
                    text = opened.read(MAX_BYTES).decode("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"{file}: cannot be read: {error}") from None
            yield str(file), {"task_id": task.name.replace("_", "/"), "solution": text}


def hash_folder(path: Path) -> str:
    """Of names and contents, in the order in which they are read."""
    digest = hashlib.sha256()
    for name, row in read_folder(path):
        digest.update(f"{Path(name).relative_to(path)}\0{row['solution']}\0".encode())
    return digest.hexdigest()


def _by_number(file: Path) -> tuple[int, str]:
    number = re.fullmatch(r"[0-9]{1,9}", file.stem)
    return (int(file.stem), "") if number else (10**9, file.stem)
