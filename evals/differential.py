"""Judge a solution by its outputs on many inputs, against those of the reference (EvalPlus's base and plus
tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import verify.codec
from evals.benchmark import Outcome, Scored
from evals.expected import ExpectedStore
from evals.oracles import accepts
from evals.runner import InputRun, InputRunner, Inputs
from verify.verdict import Status

# Values of a wrong solution are compared one by one; this many show that it is wrong.
MAX_COMPARED = 512


def judge_outputs(
    task_id: str,
    dataset: str,
    solution: str,
    reference: str,
    inputs: Inputs,
    split: int,
    atol: float,
    runner: InputRunner,
    store: ExpectedStore,
) -> Scored:
    """Outcomes for inputs [0, split) as `base` and [split, end) as `plus`."""
    expected = store.get(task_id, inputs, reference, runner)
    run = runner.run(solution, inputs, slow=expected.slow)
    if run.infra:
        outcome = Outcome(run.status, 0, len(inputs), (), run.detail)
        return Scored(outcome, outcome)
    if not run.loaded:
        status = _why_not_loaded(run)
        detail = run.detail or "the code did not load"
        return Scored(
            Outcome(status, 0, split, (), detail), Outcome(status, 0, len(inputs) - split, (), detail)
        )
    flags: list[bool | None] = [None] * len(inputs)
    doubtful = []
    for index, line in enumerate(run.lines):
        if line == expected.digests[index] and line != "?":
            flags[index] = True
        elif line[:1] in "!T":
            flags[index] = False
        else:
            doubtful.append(index)
    problems = {i: run.lines[i] for i, flag in enumerate(flags) if flag is False}
    problems |= _compare_values(
        dataset, solution, reference, inputs, doubtful, atol, runner, flags, expected.slow
    )
    groups = (range(split), range(split, len(inputs)))
    base, plus = (_outcome(run, flags, problems, group) for group in groups)
    return Scored(base, plus)


def _compare_values(
    dataset: str,
    solution: str,
    reference: str,
    inputs: Inputs,
    doubtful: Sequence[int],
    atol: float,
    runner: InputRunner,
    flags: list[bool | None],
    slow: dict[int, float],
) -> dict[int, str]:
    """Settle inputs whose digests differ: floats, sets, special oracles, or simply wrong. Fills `flags` in
    place.
    """
    problems: dict[int, str] = {}
    asked = list(doubtful[:MAX_COMPARED])
    for index in doubtful[MAX_COMPARED:]:
        flags[index] = False
        problems[index] = "differs from the reference"
    if not asked:
        return problems
    theirs = runner.run(solution, inputs, wanted=asked, full=True, slow=slow)
    ours = runner.run(reference, inputs, wanted=asked, full=True, slow=slow)
    for position, index in enumerate(asked):
        got = theirs.lines[position] if position < len(theirs.lines) else ""
        want = ours.lines[position] if position < len(ours.lines) else ""
        ok = False
        problem = "differs from the reference"
        if got.startswith("=") and want.startswith("="):
            try:
                value, right = _decode(got), _decode(want)
            except (ValueError, TypeError):
                problem = "returned something that cannot be decoded"
            else:
                ok = accepts(dataset, inputs.entry, atol, list(inputs.args[index]), value, right)
                if not ok:
                    problem = f"returned {_short(value)}, not {_short(right)}"
        elif got.startswith(("!", "T", "~")):
            problem = got
        flags[index] = ok
        if not ok:
            problems[index] = problem
    return problems


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
