"""Judge a solution by its outputs on many inputs, against those of the reference (EvalPlus's base and plus
tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import verify.codec
from evals.benchmark import Outcome, Scored
from evals.expected import ExpectedStore
from evals.oracles import accepts
from evals.runner import InputRun, InputRunner, Inputs
from verify.verdict import Status

# Of each group, this many differing outputs are compared first. If one of them is wrong the group has failed,
# and the others are not worth two more calls each; if all are right (floats, sets), the rest is compared as
# well.
FIRST_COMPARED = 4
MAX_COMPARED = 4096
DIFFERS = "differs from the reference"


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
    run = runner.run(solution, task.inputs, slow=expected.slow)
    if run.infra:
        return _same(task, run.status, run.detail)
    if not run.loaded:
        return _same(task, _why_not_loaded(run), run.detail or "the code did not load")
    flags: list[bool | None] = [None] * len(task.inputs)
    problems: dict[int, str] = {}
    doubtful: list[int] = []
    for index, line in enumerate(run.lines):
        if line == expected.digests[index] and line != "?":
            flags[index] = True
        elif line[:1] in "!T":
            flags[index], problems[index] = False, line
        else:
            doubtful.append(index)
    left = [[i for i in doubtful if i in group] for group in task.groups]
    first = [i for group in left for i in group[:FIRST_COMPARED]]
    rest: list[int] = []
    for asked in (first, rest):
        found = _compare(task, solution, asked, runner, expected.slow)
        if isinstance(found, InputRun):
            return _same(task, found.status, found.detail)
        for index, problem in found.items():
            flags[index] = not problem
            if problem:
                problems[index] = problem
        if asked is first:
            for group in left:
                wrong = any(i in problems for i in group[:FIRST_COMPARED])
                rest += [] if wrong else group[FIRST_COMPARED:MAX_COMPARED]
    base, plus = (_outcome(run, flags, problems, group) for group in task.groups)
    return Scored(base, plus)


def _same(task: OutputTask, status: Status, detail: str) -> Scored:
    """One outcome for all tests: nothing ran, or it is not the candidate's fault that it did not."""
    base, plus = (Outcome(status, 0, len(group), (), detail) for group in task.groups)
    return Scored(base, plus)


def _compare(
    task: OutputTask, solution: str, asked: list[int], runner: InputRunner, slow: dict[int, float]
) -> dict[int, str] | InputRun:
    """What is wrong with each asked output, '' where it is right; or the run that failed for our own reasons."""
    if not asked:
        return {}
    theirs = runner.run(solution, task.inputs, wanted=asked, full=True, slow=slow)
    ours = runner.run(task.reference, task.inputs, wanted=asked, full=True, slow=slow)
    for run in (theirs, ours):
        if run.infra:
            return run
    return {
        index: _problem(task, index, _line(theirs, position), _line(ours, position))
        for position, index in enumerate(asked)
    }


def _line(run: InputRun, position: int) -> str:
    return run.lines[position] if position < len(run.lines) else ""


def _problem(task: OutputTask, index: int, got: str, want: str) -> str:
    if got.startswith(("!", "T", "~")):
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
    if problem.startswith("T"):
        status, detail = Status.TIMEOUT, "took longer than its time limit"
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
        stopped = any(line.startswith("T") for line in run.lines)
        status = Status.TIMEOUT if stopped else Status.FAILED if run.status is Status.PASSED else run.status
        detail = "not reached: an earlier input took too long" if stopped else run.detail or "left early"
    return Outcome(status, passed, len(group), failed[:32], f"input {failed[0]}: {detail}")
