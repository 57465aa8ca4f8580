"""What a benchmark is: tasks, how to ask, how to read the answer, how to judge it; and the registry of them.

A benchmark is one small module in `evals.benchmarks` with a subclass of `Benchmark`. To add one, write the
class and name it in `REGISTRY`; `evals run NAME` then works, with resume, statistics, comparison and reports.
"""

from __future__ import annotations

import hashlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evals.errors import UsageError
from model.request import GenerateRequest, Message
from verify.verdict import DETERMINISTIC, NEVER_A_REWARD, Status

if TYPE_CHECKING:
    from evals.judge import Judge
    from evals.settings import Settings
    from model.request import Generation, Model


@dataclass(frozen=True, slots=True)
class Task:
    """One problem. `prompt` is what reports show; `reference` is a whole program that solves it.

    `data` holds what only the benchmark reads (test inputs, files); it is never shown to a model.
    """

    id: str
    prompt: str
    entry: str
    reference: str
    category: str = ""
    data: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one group of tests (`base`, `plus`) for one solution.

    failed: indices of the tests that did not pass, the first 32. detail: one untrusted line about the first
    failure. cpu_timeout: it ran out of CPU seconds, which the machine's load hardly changes.
    """

    status: Status
    passed: int = 0
    total: int = 0
    failed: tuple[int, ...] = ()
    detail: str = ""
    cpu_timeout: bool = False

    @property
    def settled(self) -> bool:
        """Whether a second check can only say the same."""
        return self.status in DETERMINISTIC or self.cpu_timeout

    @property
    def ok(self) -> bool:
        return self.status is Status.PASSED

    @property
    def infra(self) -> bool:
        """Our fault or the host's: counted apart, never as wrong."""
        return self.status in NEVER_A_REWARD


@dataclass(frozen=True, slots=True)
class Scored:
    """Both groups. `plus` is None where the benchmark has one group of tests; it counts only together with
    `base`.
    """

    base: Outcome
    plus: Outcome | None = None

    @property
    def ok(self) -> bool:
        return self.base.ok and (self.plus is None or self.plus.ok)

    @property
    def infra(self) -> bool:
        return self.base.infra or (self.plus is not None and self.plus.infra)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a model did for one sample: its last answer, the program taken from it, and the cost of all its
    turns.
    """

    raw: str
    solution: str
    generations: tuple[Generation, ...] = ()
    turns: int = 1


class Generate(Protocol):
    """Asks the model of the run once; `model` is for benchmarks whose own loop does the asking."""

    @property
    def model(self) -> Model: ...

    def __call__(self, request: GenerateRequest) -> Generation: ...


class Benchmark(ABC):
    """Base class. Subclasses set `name` and `title`, and say how to ask and how to judge."""

    name: str
    title: str
    max_tokens: int = 768
    stop: tuple[str, ...] = ()
    has_plus: bool = False

    @abstractmethod
    def load(self) -> Iterable[Task]:
        """Read the tasks. Raises DataError."""

    @abstractmethod
    def messages(self, task: Task) -> tuple[Message, ...]:
        """What the model is given first."""

    @abstractmethod
    def extract(self, task: Task, raw: str) -> str:
        """The program in an answer. Never raises; '' when there is none."""

    @abstractmethod
    def score(self, task: Task, solution: str, judge: Judge) -> Scored:
        """Judge a solution. Raises InfrastructureError only when no verdict of any kind is possible."""

    def attempt(self, task: Task, generate: Generate, request: GenerateRequest, judge: Judge) -> Attempt:
        """Ask once. Benchmarks with several turns override this; `request` carries the run's settings."""
        generation = generate(request)
        return Attempt(generation.text, self.extract(task, generation.text), (generation,))

    def problem(self) -> str:
        """Why it cannot run here without more help (data to fetch), in one line; '' when it can."""
        return ""

    def notice(self) -> str:
        """What whoever reads its scores has to know of the data, in one line; mostly ''."""
        return ""

    def cost(self, task: Task) -> float:
        """Seconds that judging it takes, where known: the longest go first when all samples are at hand."""
        return 0.0

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Tasks by id, in the benchmark's own order."""
        return {task.id: task for task in self.load()}

    @cached_property
    def version(self) -> str:
        """Hash of all that decides a score: prompts, references and tests of every task."""
        digest = hashlib.sha256(self.name.encode())
        for task in self.tasks.values():
            digest.update(repr((task.id, task.prompt, task.entry, task.reference)).encode())
            digest.update(self.fingerprint(task))
        return digest.hexdigest()[:16]

    def fingerprint(self, task: Task) -> bytes:
        """What of `task.data` decides a score."""
        return repr(sorted(task.data.items())).encode()


REGISTRY: dict[str, str] = {
    "humaneval": "evals.benchmarks.humaneval:HumanEval",
    "humaneval+": "evals.benchmarks.evalplus:HumanEvalPlus",
    "humaneval+mini": "evals.benchmarks.evalplus:HumanEvalMini",
    "mbpp": "evals.benchmarks.evalplus:Mbpp",
    "mbpp+": "evals.benchmarks.evalplus:MbppPlus",
    "bend": "evals.benchmarks.bend:Bend",
    "repair": "evals.benchmarks.repair:Repair",
    "edit": "evals.benchmarks.edit:EditBenchmark",
    "agent": "evals.benchmarks.agent:AgentBenchmark",
}


def names() -> list[str]:
    return list(REGISTRY)


def open_benchmark(name: str, data: Path | None = None) -> Benchmark:
    """The benchmark called `name`; `data` is its file when not at the usual place. Raises UsageError."""
    if name not in REGISTRY:
        from difflib import get_close_matches

        near = get_close_matches(name, REGISTRY, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(REGISTRY)}"
        raise UsageError(f"no benchmark {name!r}; {hint}")
    module, cls = REGISTRY[name].split(":")
    benchmark: Benchmark = getattr(importlib.import_module(module), cls)(data)
    return benchmark


def select(benchmark: Benchmark, settings: Settings) -> list[Task]:
    """The tasks a run covers: `--tasks` by number or id, then `--limit`. Raises UsageError."""
    tasks = list(benchmark.tasks.values())
    if settings.tasks:
        tasks = _pick(tasks, settings.tasks, benchmark.name)
    if settings.limit is not None:
        tasks = tasks[: settings.limit]
    return tasks


def _pick(tasks: Sequence[Task], spec: str, name: str) -> list[Task]:
    by_id = {task.id: task for task in tasks}
    by_number = {task.id.rsplit("/", 1)[-1]: task for task in tasks}
    chosen: dict[str, Task] = {}
    for part in filter(None, (p.strip() for p in spec.split(","))):
        first, dash, last = part.partition("-")
        if part in by_id or part in by_number:
            found = [by_id.get(part) or by_number[part]]
        elif dash and first.isdigit() and last.isdigit() and int(first) <= int(last):
            wanted = range(int(first), int(last) + 1)
            found = [t for number, t in by_number.items() if number.isdigit() and int(number) in wanted]
        else:
            found = []
        if not found:
            raise UsageError(
                f"--tasks: no task {part!r} in {name} (use numbers, ranges or ids: 0-9,32,{tasks[0].id})"
            )
        chosen.update((task.id, task) for task in found)
    return [task for task in tasks if task.id in chosen]
