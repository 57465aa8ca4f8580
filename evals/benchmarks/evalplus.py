"""HumanEval+, its mini version, MBPP and MBPP+: EvalPlus's inputs, outputs compared with the reference's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evals.benchmark import Benchmark, Scored, Task
from evals.datasets import Dataset, content_hash, find, other_version, read
from evals.differential import OutputTask, judge_outputs
from evals.errors import DataError
from evals.expected import ExpectedStore
from evals.extract import extract
from evals.home import evals_home
from evals.oracles import view
from evals.prompt import STOP, evalplus_messages
from evals.runner import InputRunner, Inputs
from model.request import Message

if TYPE_CHECKING:
    from evals.judge import Judge


class EvalPlusBenchmark(Benchmark):
    """Shared by the four; a subclass names its dataset and which groups of inputs it uses."""

    dataset: ClassVar[Dataset]
    mini: ClassVar[bool] = False
    plus: ClassVar[bool] = True
    stop = STOP

    def __init__(self, data: Path | None = None) -> None:
        self._data = data
        self.has_plus = self.plus

    @cached_property
    def path(self) -> Path:
        """The data file, fetched when it is nowhere on this machine. Raises DataError."""
        return find(self.dataset, mini=self.mini, data=self._data)

    def problem(self) -> str:
        try:
            find(self.dataset, mini=self.mini, data=self._data, fetch=False)
        except DataError as error:
            return str(error)
        return ""

    def load(self) -> Iterable[Task]:
        for row in read(self.path, self.dataset):
            base, plus = row["base_input"], row["plus_input"] if self.plus else []
            coded = self.dataset == "mbpp"
            if coded:
                base, plus = (_mbpp_types(row["task_id"], rows) for rows in (base, plus))
            yield Task(
                id=row["task_id"],
                prompt=row["prompt"],
                entry=row["entry_point"],
                reference=row["prompt"] + row["canonical_solution"],
                category=_category(self.dataset, base, row["canonical_solution"]),
                data={
                    "inputs": Inputs(
                        row["entry_point"], [*base, *plus], view(self.dataset, row["entry_point"]), coded
                    ),
                    "split": len(base),
                    "atol": float(row["atol"]),
                },
            )

    @cached_property
    def _digest(self) -> str:
        return content_hash(self.path)

    @cached_property
    def version(self) -> str:
        """The content of the data file decides it."""
        return f"{self.name}-{self._digest[:16]}"

    def notice(self) -> str:
        return other_version(self.dataset, self.path, self._digest)

    def messages(self, task: Task) -> tuple[Message, ...]:
        return evalplus_messages(task.prompt)

    def extract(self, task: Task, raw: str) -> str:
        return extract(raw, task.entry, in_fence=True)

    @cached_property
    def _store(self) -> ExpectedStore:
        return ExpectedStore(evals_home() / "expected")

    def cost(self, task: Task) -> float:
        known = self._store.known(task.data["inputs"], task.reference)
        return known.total_s if known else 0.0

    def score(self, task: Task, solution: str, judge: Judge) -> Scored:
        data = task.data
        outputs = OutputTask(
            task.id, self.dataset, task.reference, data["inputs"], data["split"], data["atol"]
        )
        scored = judge_outputs(outputs, solution, InputRunner(judge), self._store)
        return scored if self.plus else Scored(scored.base)


class HumanEvalPlus(EvalPlusBenchmark):
    name = "humaneval+"
    title = "HumanEval+"
    dataset = "humaneval"


class HumanEvalMini(HumanEvalPlus):
    name = "humaneval+mini"
    title = "HumanEval+ Mini"
    mini = True

    def load(self) -> Iterable[Task]:
        tasks = list(super().load())
        if sum(len(task.data["inputs"]) for task in tasks) > 50 * len(tasks):
            raise DataError(
                f"{self.path}: this is not the Mini file; give HumanEvalPlus-Mini.jsonl.gz with --data"
            )
        return tasks


class MbppPlus(EvalPlusBenchmark):
    name = "mbpp+"
    title = "MBPP+"
    dataset = "mbpp"


class Mbpp(MbppPlus):
    name = "mbpp"
    title = "MBPP (sanitized, EvalPlus's 378 tasks)"
    plus = False


def _mbpp_types(task_id: str, inputs: list[Any]) -> list[Any]:
    """JSON has no tuples, sets or complex numbers; evalplus knows which arguments were."""
    try:
        from evalplus.data.mbpp import mbpp_deserialize_inputs
    except ImportError:
        raise DataError("MBPP's input types come with evalplus; install the evalplus extra") from None
    typed: list[Any] = mbpp_deserialize_inputs(task_id, inputs)
    return typed


def _category(dataset: Dataset, inputs: list[Any], solution: str) -> str:
    """What the first input holds: a coarse label for breakdowns."""
    first = inputs[0][0] if inputs and inputs[0] else None
    kinds = {
        bool: "numbers",
        int: "numbers",
        float: "numbers",
        complex: "numbers",
        str: "strings",
        dict: "mappings",
    }
    return kinds.get(type(first), "collections" if isinstance(first, list | tuple | set) else "other")
