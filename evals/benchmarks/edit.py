"""Edit: change a small file as an instruction says; judged on inputs that show the change and on the old
ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.benchmark import Benchmark, Outcome, Scored, Task
from evals.errors import UsageError
from evals.extract import extract
from evals.packs.edits import EDITS, Edit
from evals.packs.programs import PROGRAMS
from model.request import Message
from verify.limits import Limits
from verify.request import Case, FunctionCheck

if TYPE_CHECKING:
    from evals.judge import Judge

LIMITS = Limits(wall_s=10.0, cpu_s=5.0)


class EditBenchmark(Benchmark):
    name = "edit"
    title = "Edit"
    stop = ("\n```\n",)
    max_tokens = 384

    def __init__(self, data: Path | None = None) -> None:
        if data is not None:
            raise UsageError("edit's tasks come with this package; --data is for humaneval+ and mbpp+")

    def load(self) -> Iterable[Task]:
        programs = {program.entry: program for program in PROGRAMS}
        for edit in EDITS:
            program = programs[edit.entry]
            yield Task(
                id=f"edit/{edit.name}",
                prompt=f"{edit.instruction}\n\n{program.source}",
                entry=edit.entry,
                reference=edit.after,
                category="new case"
                if "if " in edit.after and edit.after.count("\n") > program.source.count("\n")
                else "change",
                data={
                    "before": program.source,
                    "instruction": edit.instruction,
                    "cases": _cases(edit, program.inputs()),
                },
            )

    def messages(self, task: Task) -> tuple[Message, ...]:
        user = (
            f"Here is a Python file:\n```python\n{task.data['before']}```\n"
            f"Change it: {task.data['instruction']}\n"
            "Reply with the whole changed file in a markdown code block.\n"
        )
        return Message("user", user), Message("assistant", "```python\n")

    def extract(self, task: Task, raw: str) -> str:
        return extract(raw, task.entry, in_fence=True)

    def score(self, task: Task, solution: str, judge: Judge) -> Scored:
        cases: tuple[Case, ...] = task.data["cases"]
        verdict = judge.check(FunctionCheck(solution, task.entry, cases, limits=LIMITS))
        failed = tuple(i for i, ok in enumerate(verdict.per_case) if ok is not True)[:32]
        return Scored(Outcome(verdict.status, verdict.passed, len(cases), failed, verdict.detail))


def _cases(edit: Edit, inputs: list[tuple[Any, ...]]) -> tuple[Case, ...]:
    """The reference's results (our own code, so it is run here)."""
    namespace: dict[str, Any] = {}
    exec(compile(edit.after, f"{edit.name}.py", "exec"), namespace)
    function = namespace[edit.entry]
    return tuple(Case(args=args, expected=function(*deepcopy(args))) for args in (*edit.more, *inputs))
