"""Find and read EvalPlus's data files. They are never part of this project.

Order: the file given (`--data`), `HUMANEVAL_OVERRIDE_PATH` / `MBPP_OVERRIDE_PATH` as evalplus reads them,
evalplus's own cache, evalplus's downloader. Files are `.jsonl` or `.jsonl.gz`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal

from evals.errors import DataError

Dataset = Literal["humaneval", "mbpp"]
_VARIABLE = {"humaneval": "HUMANEVAL_OVERRIDE_PATH", "mbpp": "MBPP_OVERRIDE_PATH"}
_FILE = {"humaneval": "HumanEvalPlus", "mbpp": "MbppPlus"}
_VERSION = {"humaneval": "v0.1.10", "mbpp": "v0.2.0"}
# First digits of the sha256 of the uncompressed files of those versions.
_KNOWN = {"humaneval": ("42526ec0e7d5f3ee", "78fbba8865b20c5a"), "mbpp": ("b54e762755248ca4",)}
_REQUIRED: dict[str, type | tuple[type, ...]] = {
    "task_id": str,
    "prompt": str,
    "entry_point": str,
    "canonical_solution": str,
    "base_input": list,
    "plus_input": list,
    "atol": (int, float),
}


def find(dataset: Dataset, *, mini: bool, data: Path | None, fetch: bool = True) -> Path:
    """The file to read. Raises DataError when there is none and none can (or, without `fetch`, may) be
    fetched.
    """
    given = data or (Path(os.environ[_VARIABLE[dataset]]) if os.environ.get(_VARIABLE[dataset]) else None)
    if given is not None:
        if not given.is_file():
            raise DataError(f"{given}: no such file (given by {'--data' if data else _VARIABLE[dataset]})")
        return given
    return _evalplus_file(dataset, mini, fetch)


def _evalplus_file(dataset: Dataset, mini: bool, fetch: bool) -> Path:
    import platformdirs

    name = f"{_FILE[dataset]}{'-Mini' if mini else ''}"
    cached = Path(platformdirs.user_cache_dir("evalplus")) / f"{name}-{_VERSION[dataset]}.jsonl"
    if cached.is_file():
        return cached
    how = f"give the file with --data {name}.jsonl.gz or in {_VARIABLE[dataset]}"
    if not fetch:
        raise DataError(f"{name} is not on this machine; evalplus fetches it at the first run, or {how}")
    try:
        from evalplus.data import get_human_eval_plus, get_mbpp_plus
    except ImportError:
        raise DataError(
            f"{name} is not on this machine; {how}, or install the evalplus extra to fetch it"
        ) from None
    try:
        # wget prints its progress on stdout, which belongs to our own output.
        with redirect_stdout(sys.stderr):
            get_mbpp_plus() if dataset == "mbpp" else get_human_eval_plus(mini=mini)
    except Exception as error:
        raise DataError(f"{name} could not be fetched ({type(error).__name__}: {error}); {how}") from None
    return cached


def read(path: Path, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Rows with every field checked. Raises DataError naming file and line."""
    prefix = "HumanEval/" if dataset == "humaneval" else "Mbpp/"
    seen: dict[str, int] = {}
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise DataError(f"{path}:{number}: broken JSON: {error}") from None
                _check(row, prefix, f"{path}:{number}", dataset)
                if row["task_id"] in seen:
                    raise DataError(
                        f"{path}:{number}: {row['task_id']} is already on line {seen[row['task_id']]}"
                    )
                seen[row["task_id"]] = number
                yield row
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not seen:
        raise DataError(f"{path}: holds no task")


def _check(row: Any, prefix: str, where: str, dataset: Dataset) -> None:
    if not isinstance(row, dict):
        raise DataError(f"{where}: not a JSON object")
    for key, kind in _REQUIRED.items():
        # MbppPlus v0.2.0 writes "no inputs" of Mbpp/793 as {}.
        if row.get(key) == {}:
            row[key] = []
        if not isinstance(row.get(key), kind):
            expected = f"{_FILE[dataset]} {_VERSION[dataset]} is expected"
            raise DataError(f"{where}: {key} is missing or of the wrong type; {expected}")
    if not row["task_id"].startswith(prefix):
        raise DataError(
            f"{where}: task {row['task_id']!r} is not of {_FILE[dataset]}; this is another dataset"
        )


def content_hash(path: Path) -> str:
    """sha256 of the uncompressed content, the same for `.jsonl` and `.jsonl.gz`."""
    digest = hashlib.sha256()
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def other_version(dataset: Dataset, path: Path, digest: str) -> str:
    """One line about a file that is not of the version expected here, '' for one that is."""
    if digest[:16] in _KNOWN[dataset]:
        return ""
    return (
        f"{path}: not {_FILE[dataset]} {_VERSION[dataset]} (sha256 {digest[:16]}); "
        "compare its scores only with those of the same file"
    )
