"""The run folder: every figure can be derived again from its files, and a kill at any moment loses at most
one sample.

    config.json      what was asked and with what: settings, data, model, versions, machine
    prompts.jsonl    one row a task: the text a reader needs beside the code
    samples.jsonl    one row a sample, EvalPlus's format plus cost; no clock in it
    verdicts.jsonl   one row a sample: status of base and plus tests
    timing.jsonl     one row a sample: seconds (the only rows that differ between equal runs)
    summary.json     the figures, made from the files above

Rows are appended in one write and flushed to disk. A torn last line (killed while writing) is cut off when
the run is resumed. When a run ends, samples and verdicts are rewritten in task order, so a resumed run and an
unbroken one leave the same bytes.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from evals.errors import RunFolderError
from evals.sample import Sample
from model.wholefile import write_whole

CONFIG, PROMPTS, SAMPLES, VERDICTS, TIMING, SUMMARY = (
    "config.json",
    "prompts.jsonl",
    "samples.jsonl",
    "verdicts.jsonl",
    "timing.jsonl",
    "summary.json",
)
# What must be equal for a resumed run to be the same run.
IDENTITY = ("benchmark", "version", "settings", "model")


class RunFolder:
    """Read access to a run; `writing` opens it for appending."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """Raises RunFolderError when `path` holds no run."""
        if not (path / CONFIG).is_file():
            raise RunFolderError(
                f"{path}: no run here (no {CONFIG}); give a folder made by `evals run` or `evals score`"
            )
        return cls(path)

    @property
    def config(self) -> dict[str, Any]:
        return _read_json(self.path / CONFIG)

    @property
    def summary(self) -> dict[str, Any] | None:
        path = self.path / SUMMARY
        return _read_json(path) if path.is_file() else None

    def samples(self) -> list[Sample]:
        return [Sample.from_row(row) for row in self.rows(SAMPLES)]

    def verdicts(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Verdict rows by (task, sample); a later row replaces an earlier one."""
        return {(row["task_id"], row["sample"]): row for row in self.rows(VERDICTS)}

    def timings(self) -> dict[tuple[str, int], dict[str, Any]]:
        return {(row["task_id"], row["sample"]): row for row in self.rows(TIMING)}

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        path = self.path / name
        if not path.is_file():
            return
        # What follows the last newline is a row torn by a kill; the writer cuts it off too.
        *lines, _ = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError:
                raise RunFolderError(
                    f"{path}:{number}: broken JSON; the file was changed by something else"
                ) from None

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        write_whole(self.path / SUMMARY, json.dumps(summary, indent=1, sort_keys=True) + "\n")


class RunWriter:
    """Appends to a run folder; one writer at a time, held by a lock file. Use as a context manager."""

    def __init__(
        self, path: Path, config: Mapping[str, Any], *, resume: bool, prompts: Mapping[str, str] | None = None
    ) -> None:
        """Raises RunFolderError when the folder is in use, holds results without `resume`, or those of
        another run.
        """
        self.folder = RunFolder(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / ".lock").open("w")
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be written: {error.strerror or error}") from None
        try:
            self._take_lock(path)
            self._check(path, config, resume)
            if prompts and not (path / PROMPTS).is_file():
                rows = ({"task_id": task_id, "prompt": prompt} for task_id, prompt in prompts.items())
                write_whole(path / PROMPTS, "".join(json.dumps(row) + "\n" for row in rows))
            for name in (SAMPLES, VERDICTS, TIMING):
                _cut_torn_line(path / name)
            self._files = {name: (path / name).open("ab") for name in (SAMPLES, VERDICTS, TIMING)}
        except BaseException:
            self._lock.close()
            raise

    def _take_lock(self, path: Path) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunFolderError(
                f"{path}: another run is writing here; wait for it or choose another --out"
            ) from None

    def _check(self, path: Path, config: Mapping[str, Any], resume: bool) -> None:
        refuse_used(path, resume=resume)
        if not (path / CONFIG).is_file():
            write_whole(path / CONFIG, json.dumps(config, indent=1, sort_keys=True) + "\n")
            return
        old = self.folder.config
        # Written as '' before it was null.
        if isinstance(old.get("model"), dict) and old["model"].get("heads_sha256") == "":
            old["model"]["heads_sha256"] = None
        for key in IDENTITY:
            now = json.loads(json.dumps(config.get(key)))
            if _given(old.get(key)) != _given(now):
                difference = _difference(key, old.get(key), now)
                raise RunFolderError(f"{path}: --resume with another {difference}; choose another --out")

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """One row, one write, on disk when this returns. Raises RunFolderError (disk full)."""
        file = self._files[name]
        try:
            file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
            file.flush()
            os.fdatasync(file.fileno())
        except OSError as error:
            raise RunFolderError(
                f"{self.folder.path / name}: {error.strerror or error}; what was written is safe: --resume"
            ) from None

    def finish(self, order: Iterable[tuple[str, int]]) -> None:
        """Rewrite samples and verdicts in `order`, one row a key."""
        keys = list(order)
        for name in (SAMPLES, VERDICTS):
            rows = {(row["task_id"], row["sample"]): row for row in self.folder.rows(name)}
            text = "".join(json.dumps(rows[key], separators=(",", ":")) + "\n" for key in keys if key in rows)
            self._files[name].close()
            write_whole(self.folder.path / name, text)
            self._files[name] = (self.folder.path / name).open("ab")

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        self._lock.close()


def refuse_used(path: Path, *, resume: bool) -> None:
    """Raise RunFolderError for a folder with a run (unless `resume`) or with anything else in it."""
    if (path / CONFIG).is_file():
        if not resume:
            raise RunFolderError(
                f"{path}: holds a run already; add --resume to go on with it, or choose another --out"
            )
    elif path.is_dir() and any(file.name != ".lock" for file in path.iterdir()):
        raise RunFolderError(f"{path}: not empty and not a run; choose another --out")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path}: cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise RunFolderError(f"{path}: not a JSON object")
    return value


def _cut_torn_line(path: Path) -> None:
    if not path.is_file():
        return
    with path.open("r+b") as file:
        data = file.read()
        if data and not data.endswith(b"\n"):
            file.truncate(data.rfind(b"\n") + 1)


def _given(value: Any) -> Any:
    """Without what is null: a setting that did not exist then is as one that was not given."""
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _difference(key: str, before: Any, after: Any) -> str:
    """The innermost entry that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted({*before, *after})
        name = next(name for name in names if before.get(name) != after.get(name))
        return _difference(name, before.get(name), after.get(name))
    return f"{key}: {before!r} there, {after!r} now"
