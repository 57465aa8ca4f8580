"""Doctest tasks: a stub to fill in, cases that judge it, and where it came from. JSON lines on disk.

    for row in read_tasks(Path("tasks.jsonl")): task = row.task(workdir)

The stub's docstring shows some of the examples; the cases hold all of them, so an answer that only copies
what it is shown does not pass where an example was held back.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import TaskError
from agent.scaffold import scaffold_in_text
from agent.task import Task
from model.wholefile import beside
from verify.cases import CasesError, parse_cases
from verify.limits import Limits
from verify.request import Case, FunctionCheck

LIMITS = Limits(wall_s=4.0, cpu_s=4.0)


@dataclass(frozen=True, slots=True)
class DoctestTask:
    """id: `unit/function`. unit: the package (or subpackage) that train and held-out are split by. stub:
    program text that ends with the docstring. solution: the package's own program. hidden: the last so many
    cases are not in the stub."""

    id: str
    unit: str
    package: str
    version: str
    licence: str
    path: str
    entry: str
    stub: str
    solution: str
    cases: tuple[Case, ...]
    hidden: int = 0
    split: str = "train"

    @property
    def source(self) -> str:
        """What trajectories of this task carry: the family and the split, so that held-out ones are known."""
        return f"doctest/{self.split}"

    def task(self, workdir: Path) -> Task:
        """The task for the agent's loop."""
        text = f"```python\n{self.stub}```"
        return Task(
            text=text,
            workdir=workdir,
            name=self.id,
            cases=self.cases,
            entry=self.entry,
            scaffold=scaffold_in_text(text),
            check_limits={"wall_s": LIMITS.wall_s, "cpu_s": LIMITS.cpu_s},
            source=self.source,
        )

    def check(self, code: str, seed: int = 0) -> FunctionCheck:
        return FunctionCheck(code, self.entry, self.cases, limits=LIMITS, seed=seed)

    def to_row(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "cases": [case_row(case) for case in self.cases]}


def case_row(case: Case) -> dict[str, Any]:
    """A case in the notation of `verify run --cases`. Raises ValueError for a value JSON cannot hold."""
    row: dict[str, Any] = {"args": [to_json(value) for value in case.args]}
    if case.kwargs:
        row["kwargs"] = {name: to_json(value) for name, value in case.kwargs.items()}
    if case.raises:
        return {**row, "raises": case.raises}
    row["expected"] = to_json(case.expected)
    return row if case.tolerance is None else {**row, "tolerance": case.tolerance}


def to_json(value: Any) -> Any:
    """The inverse of `verify.cases.from_json`. Raises ValueError."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if abs(value) < float("inf") else {"$float": str(value)}
        case complex():
            return {"$complex": [value.real, value.imag]}
        case bytes():
            return {"$bytes": value.hex()}
        case list():
            return [to_json(member) for member in value]
        case tuple():
            return {"$tuple": [to_json(member) for member in value]}
        case set() | frozenset():
            name = "$set" if isinstance(value, set) else "$frozenset"
            return {name: [to_json(member) for member in sorted(value, key=repr)]}
        case dict() if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: to_json(member) for key, member in value.items()}
        case dict():
            return {"$dict": [[to_json(key), to_json(member)] for key, member in value.items()]}
    raise ValueError(f"{type(value).__name__} has no JSON form")


def write_tasks(path: Path, tasks: Iterable[DoctestTask]) -> None:
    """Write JSON lines, whole or not at all."""
    with beside(path) as work, work.open("w", encoding="utf-8") as handle:
        for task in tasks:
            handle.write(json.dumps(task.to_row(), ensure_ascii=False) + "\n")


def read_tasks(path: Path) -> list[DoctestTask]:
    """Raises TaskError naming the file and line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise TaskError(
            f"{path}: cannot be read ({error.strerror}); make tasks with 'agent tasks build'"
        ) from error
    except UnicodeDecodeError as error:
        raise TaskError(f"{path}: not UTF-8 text; make tasks with 'agent tasks build'") from error
    names = {field.name for field in dataclasses.fields(DoctestTask)}
    tasks = []
    for number, line in enumerate(lines, 1):
        where = f"{path}: line {number}"
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or set(row) != names:
                raise TaskError(f"{where} is no task of 'agent tasks build'; make the file again")
            tasks.append(DoctestTask(**{**row, "cases": parse_cases(row["cases"], where)}))
        except (ValueError, CasesError) as error:
            raise TaskError(f"{where} is damaged ({error}); make the file again") from error
    if not tasks:
        raise TaskError(f"{path} holds no task; make one with 'agent tasks build'")
    return tasks
