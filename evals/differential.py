"""Judge a solution by its outputs on many inputs, against those of the reference (EvalPlus's base and plus
tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import verify.codec
from evals.benchmark import Outcome, Scored
from evals.expected import Expected, ExpectedStore
from evals.oracles import accepts
from evals.runner import SLOW_LOAD, InputRun, InputRunner, Inputs
from verify.verdict import Status

# Of each group, this many differing outputs are compared first. If one of them is wrong the group has failed,
# and the others are not worth two more calls each; if all are right (floats, sets), the rest is compared as
# well.
FIRST_COMPARED = 4
MAX_COMPARED = 4096
DIFFERS = "differs from the reference"
# A solution pauses before the call that begins after so many CPU seconds. If base and plus tests have failed
# by then it is not called again; else it goes on where it was, with twice as many seconds to the next pause.
# Only a program that forges the runner's lines pauses more than MAX_PAUSES times.
PAUSE_S = 0.5
MAX_PAUSES = 10


@dataclass(frozen=True, slots=True)
class OutputTask:
    """A reference and the inputs to compare on: [0, split) are the base tests, the rest the plus tests."""

    id: str
    dataset: str
    reference: str
    inputs: Inputs
    split: int
    atol: float

    @property
    def groups(self) -> tuple[range, range]:
        return range(self.split), range(self.split, len(self.inputs))


def judge_outputs(task: OutputTask, solution: str, runner: InputRunner, store: ExpectedStore) -> Scored:
    """Outcomes of base and plus tests. Raises DataError when the reference fails on its own inputs."""
    expected = store.get(task.id, task.inputs, task.reference, runner)
    run = runner.run(solution, task.inputs, slow=expected.slow, pause_s=PAUSE_S)
    if not run.loaded and not run.infra:
        return _same(task, _why_not_loaded(run), run.detail or "the code did not load")
    judging = _Judging(task, solution, expected, runner, store)
    try:
        rest = range(len(task.inputs))
        judging.take(run, rest)
        for pause in range(1, MAX_PAUSES):
            if not run.paused or judging.decided:
                break
            rest = rest[len(run.lines) :]
            seconds = PAUSE_S * 2**pause
            run = runner.run(solution, task.inputs, wanted=rest, slow=expected.slow, pause_s=seconds)
            judging.take(run, rest)
    except _OurFault as fault:
        status = fault.run.status if fault.run.infra else Status.INTERNAL_ERROR
        return _same(task, status, fault.run.detail)
    base, plus = (_outcome(run, judging.flags, judging.problems, group) for group in task.groups)
    return Scored(base, plus)


class _OurFault(Exception):
    """A run that failed for our own reasons."""

    def __init__(self, run: InputRun) -> None:
        self.run = run


class _Judging:
    """What is known of each input so far: `flags` (None: not reached), and `problems` of the wrong ones."""

    def __init__(
        self,
        task: OutputTask,
        solution: str,
        expected: Expected,
        runner: InputRunner,
        store: ExpectedStore,
    ) -> None:
        self.task, self.solution, self.expected = task, solution, expected
        self.runner, self.store = runner, store
        self.flags: list[bool | None] = [None] * len(task.inputs)
        self.problems: dict[int, str] = {}

    @property
    def decided(self) -> bool:
        """Whether each group has failed or was reached to its end."""
        return all(
            any(i in self.problems for i in group) or all(self.flags[i] is not None for i in group)
            for group in self.task.groups
        )

    def take(self, run: InputRun, indices: range) -> None:
        """Judge the outputs of a run on `indices`. Raises _OurFault."""
        if run.infra:
            raise _OurFault(run)
        doubtful: list[int] = []
        for index, line in zip(indices, run.lines, strict=False):
            if line == self.expected.digests[index] and line != "?":
                self.flags[index] = True
            elif line[:1] in "!TW":
                self._settle(index, line)
            else:
                doubtful.append(index)
        left = [[i for i in doubtful if i in group] for group in self.task.groups]
        self._compare([i for group in left for i in group[:FIRST_COMPARED]])
        rest: list[int] = []
        for group in left:
            wrong = any(i in self.problems for i in group[:FIRST_COMPARED])
            rest += [] if wrong else group[FIRST_COMPARED:MAX_COMPARED]
        self._compare(rest)

    def _settle(self, index: int, problem: str) -> None:
        self.flags[index] = not problem
        if problem:
            self.problems[index] = problem

    def _compare(self, asked: list[int]) -> None:
        """Compute the values of these inputs on both sides and compare them here."""
        if not asked:
            return
        run, inputs, slow = self.runner.run, self.task.inputs, self.expected.slow
        theirs = run(self.solution, inputs, wanted=asked, full=True, slow=slow)
        if theirs.infra:
            raise _OurFault(theirs)
        right = self._reference(asked)
        for position, index in enumerate(asked):
            self._settle(index, _problem(self.task, index, _line(theirs, position), right[index]))

    def _reference(self, asked: list[int]) -> dict[int, str]:
        """The reference's values as the runner's lines: from the store, else computed and kept there."""
        inputs, reference, values = self.task.inputs, self.task.reference, self.store.values
        key = self.store.key(inputs, reference)
        known = values.get(key, asked)
        missing = [index for index in asked if index not in known]
        if missing:
            run = self.runner.run(reference, inputs, wanted=missing, full=True, slow=self.expected.slow)
            if run.infra or len(run.lines) < len(missing):
                raise _OurFault(run)  # never the candidate's, whatever stopped the reference
            fresh = {index: _line(run, position) for position, index in enumerate(missing)}
            values.keep(key, fresh)
            known |= fresh
        return known


def _same(task: OutputTask, status: Status, detail: str) -> Scored:
    """One outcome for all tests: nothing ran, or it is not the candidate's fault that it did not."""
    base, plus = (Outcome(status, 0, len(group), (), detail) for group in task.groups)
    return Scored(base, plus)


def _line(run: InputRun, position: int) -> str:
    return run.lines[position] if position < len(run.lines) else ""


def _problem(task: OutputTask, index: int, got: str, want: str) -> str:
    if got.startswith(("!", "T", "W", "~")):
        return got
    if not (got.startswith("=") and want.startswith("=")):
        return DIFFERS
    try:
        value, right = _decode(got), _decode(want)
    except (ValueError, TypeError):
        return "returned something that cannot be decoded"
    if accepts(task.dataset, task.inputs.entry, task.atol, list(task.inputs.args[index]), value, right):
        return ""
    return f"returned {_short(value)}, not {_short(right)}"


def _decode(line: str) -> Any:
    return verify.codec.build(verify.codec.parse(bytes.fromhex(line[1:])))


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:
        text = "a very long number"
    return text if len(text) <= 120 else text[:117] + "..."


def _why_not_loaded(run: InputRun) -> Status:
    if run.detail == SLOW_LOAD:
        return Status.TIMEOUT
    if run.lines == () and run.detail.startswith(
        ("SyntaxError", "IndentationError", "TabError", "KeyError", "ValueError")
    ):
        return Status.COMPILE_ERROR
    return Status.RUNTIME_ERROR if run.status is Status.PASSED else run.status


def _outcome(run: InputRun, flags: Sequence[bool | None], problems: dict[int, str], group: range) -> Outcome:
    passed = sum(flags[i] is True for i in group)
    if passed == len(group):
        return Outcome(Status.PASSED, passed, len(group))
    failed = tuple(i - group.start for i in group if flags[i] is not True)
    first = group.start + failed[0]
    problem = problems.get(first, "")
    settled = False
    if problem.startswith(("T", "W")):
        status, detail, settled = Status.TIMEOUT, "took longer than its time limit", problem[:1] == "T"
    elif problem.startswith("!MemoryError"):
        status, detail = Status.OOM, problem[1:]
    elif problem.startswith("!"):
        status, detail = Status.RUNTIME_ERROR, problem[1:]
    elif problem.startswith("~"):
        status, detail = Status.BAD_OUTPUT, f"returned {problem[1:]}"
    elif problem:
        status, detail = Status.FAILED, problem
    else:
        # Not reached: stopped by an earlier time limit, killed, or it left early.
        stopped = any(line.startswith(("T", "W")) for line in run.lines)
        settled = any(line.startswith("T") for line in run.lines)
        status = Status.TIMEOUT if stopped else Status.FAILED if run.status is Status.PASSED else run.status
        detail = "not reached: an earlier input took too long" if stopped else run.detail or "left early"
    return Outcome(status, passed, len(group), failed[:32], f"input {failed[0]}: {detail}", settled)
