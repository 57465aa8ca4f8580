"""The same Python function in Python and in Bend: do both give the same verdict on every case?

A disagreement is a fault of the transpiler, of HVM or of the sandbox, never of the candidate, so it is
reported and does not change a score.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from verify.bend.check import Level, check_function
from verify.bend.transpile import Unsupported, transpile
from verify.bend.transpile.runtime import OVERFLOW_MESSAGE
from verify.request import FunctionCheck
from verify.verdict import Status, Verdict


@dataclass(frozen=True, slots=True)
class Differential:
    """`agrees` is None when there is nothing to compare: outside the subset, no Bend here, limits."""

    python: Verdict
    bend: Verdict
    agrees: bool | None
    detail: str = ""


def compare(
    request: FunctionCheck, check_python: Callable[[FunctionCheck], Verdict], *, level: Level = "auto"
) -> Differential:
    """Check a Python candidate with `check_python` and, transpiled, with Bend."""
    python = check_python(request)
    bend = check_transpiled(request, level=level)
    if not (python.rewardable and bend.rewardable) or _limited(python) or _limited(bend):
        return Differential(python, bend, None, bend.detail or python.detail)
    at = [n for n, (p, b) in enumerate(zip(_flags(python), _flags(bend), strict=True)) if p != b]
    if not at:
        return Differential(python, bend, True)
    return Differential(
        python, bend, False, f"cases {at[:10]} differ: Python {python.status}, Bend {bend.status}"
    )


def check_transpiled(request: FunctionCheck, *, level: Level = "auto") -> Verdict:
    """The verdict of a Python candidate's Bend translation.

    UNSUPPORTED for what cannot be translated, and when an integer leaves 24 bits on the way. A run-time
    error ends the whole program in Bend, so the cases are then run one by one.
    """
    total = len(request.cases)
    empty: tuple[bool | None, ...] = (None,) * total
    try:
        arguments = [case.args for case in request.cases]
        made = transpile(request.code, request.entry, arguments)
    except Unsupported as error:
        return Verdict(Status.UNSUPPORTED, 0, total, empty, str(error), backend="transpiler", lang="bend")
    except SyntaxError as error:
        detail = f"line {error.lineno}: {error.msg}"
        return Verdict(Status.COMPILE_ERROR, 0, total, empty, detail, backend="transpiler", lang="bend")
    bend = dataclasses.replace(request, code=made.source, entry=made.entry, lang="bend")
    verdict = _honest(check_function(bend, level=level))
    if verdict.status is not Status.RUNTIME_ERROR or total == 1:
        return verdict
    singles = [
        _honest(check_function(dataclasses.replace(bend, cases=(case,)), level=level)) for case in bend.cases
    ]
    unsupported = next((each for each in singles if not each.rewardable), None)
    if unsupported is not None:
        return dataclasses.replace(unsupported, total=total, per_case=empty, passed=0)
    flags = tuple(each.ok for each in singles)
    return dataclasses.replace(verdict, per_case=flags, passed=flags.count(True))


def _honest(verdict: Verdict) -> Verdict:
    if verdict.status is Status.RUNTIME_ERROR and OVERFLOW_MESSAGE in verdict.detail:
        detail = (
            "a value left the subset at run time (an integer of more than 24 bits, a character beyond ASCII)"
        )
        return dataclasses.replace(verdict, status=Status.UNSUPPORTED, detail=detail)
    return verdict


def _limited(verdict: Verdict) -> bool:
    return verdict.status in (Status.TIMEOUT, Status.FUEL, Status.OOM, Status.OUTPUT_LIMIT)


def _flags(verdict: Verdict) -> tuple[bool, ...]:
    return tuple(bool(flag) for flag in verdict.per_case)
