"""Judges function cases of a Bend candidate: gate, harness, one evaluation, strict reading, comparison
here."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

from verify.bend import cli
from verify.bend.gate import admit
from verify.bend.harness import Program, UnusableCase, build, case_label
from verify.bend.readback import BadOutput, read
from verify.bend.run import Run
from verify.bend.signature import Turned
from verify.bend.types import BendType, ListOf, NoBendValue, Num, Tup, check_representable, f24
from verify.request import Case, FunctionCheck
from verify.verdict import Status, Verdict

Level = Literal["auto", "worker", "run-rs"]

# Results in f24 are printed with three decimals and carry 16 bits of mantissa.
F24_ABSOLUTE = 5.1e-4
F24_RELATIVE = 2.0**-15


def check_function(request: FunctionCheck, *, level: Level = "auto") -> Verdict:
    """Check `request.entry` of a Bend program on every case.

    level: `worker` (persistent, milliseconds), `run-rs` (the `bend` command), or `auto`: the worker when it
    is built, else `run-rs`. Expected values never enter the program. Each case is compared with Bend's
    types in mind: True is 1, an f24 equals its expectation within what Bend prints, and the integers are
    those of 24 bits.
    """
    start = time.perf_counter()
    total = len(request.cases)

    def early(status: Status, detail: str) -> Verdict:
        wall_ms = (time.perf_counter() - start) * 1000
        flags: tuple[bool | None, ...] = (None,) * total
        return Verdict(status, 0, total, flags, detail, backend="gate", lang="bend", wall_ms=wall_ms)

    if not total:
        return early(Status.UNSUPPORTED, "no cases: nothing would be checked")
    if total > request.limits.cases:
        return early(Status.UNSUPPORTED, f"{total} cases, more than cases={request.limits.cases}")
    try:
        for at, case in enumerate(request.cases):
            _check_expected(case, at)
        candidate = admit(request.code, request.entry, request.limits)
        program = build(candidate, request.cases)
    except Turned as error:
        return early(error.status, str(error))
    except UnusableCase as error:
        return early(Status.UNSUPPORTED if error.unsupported else Status.TYPE_ERROR, str(error))
    run = _evaluate(program, request, level)
    return _judge(run, program, candidate.result, request, start)


def _check_expected(case: Case, at: int) -> None:
    try:
        check_representable(case.expected)
    except NoBendValue as error:
        if case.raises is None and case.oracle is None and not case.mutates:
            raise UnusableCase(f"{case_label(case, at)}: expected value: {error}", unsupported=True) from None


def _evaluate(program: Program, request: FunctionCheck, level: Level) -> Run:
    if level in ("auto", "worker"):
        from verify.bend import worker
        from verify.bend.toolchain import Unavailable

        try:
            return worker.pool().run(program, request.limits)
        except Unavailable as error:
            if level == "worker":
                return Run(Status.UNAVAILABLE, detail=str(error), backend="worker")
    return cli.run(program.source, request.limits)


def _judge(run: Run, program: Program, typ: BendType, request: FunctionCheck, start: float) -> Verdict:
    total = len(request.cases)
    status, detail = run.status, run.detail
    flags: tuple[bool | None, ...] = (None,) * total
    if status is Status.PASSED:
        try:
            values = _values(run.result, program, total)
        except BadOutput as error:
            status, detail = Status.BAD_OUTPUT, str(error)
        else:
            flags = tuple(
                matches(value, case, typ) for value, case in zip(values, request.cases, strict=True)
            )
            if not all(flags):
                status = Status.FAILED
                at = flags.index(False)
                case = request.cases[at]
                detail = (
                    f"{case_label(case, at)}: expected {_short(case.expected)}, got {_short(values[at])}; "
                    f"{flags.count(False)} of {total} cases failed"
                )
    return Verdict(
        status=status,
        passed=flags.count(True),
        total=total,
        per_case=flags,
        detail=detail[: request.limits.out_bytes],
        backend=run.backend,
        backend_version=run.version,
        isolation=run.isolation,
        lang="bend",
        wall_ms=(time.perf_counter() - start) * 1000,
        queue_ms=run.queue_ms,
        compile_ms=run.compile_ms,
        eval_ms=run.eval_ms,
        interactions=run.interactions,
        max_rss_kb=run.max_rss_kb,
        stderr=run.stderr[: request.limits.out_bytes],
        stderr_truncated=len(run.stderr) > request.limits.out_bytes,
    )


def _values(text: str, program: Program, total: int) -> list[Any]:
    """The result of each case. Raises BadOutput."""
    values: list[Any] = read(text, program.result)
    if program.chunked:
        values = [value for row in values for value in row]
    if len(values) != total:
        raise BadOutput(f"{len(values)} results for {total} cases")
    return values


def matches(value: Any, case: Case, typ: BendType) -> bool:
    """Does a result of type `typ` match the case's expectation?"""
    if case.compare == "unordered" and isinstance(value, list) and isinstance(case.expected, list):
        left, item = list(case.expected), typ.item if isinstance(typ, ListOf) else typ
        for got in value:
            at = next((i for i, want in enumerate(left) if _equal(got, want, item, case.tolerance)), None)
            if at is None:
                return False
            del left[at]
        return not left
    return _equal(value, case.expected, typ, case.tolerance)


def _equal(value: Any, expected: Any, typ: BendType, tolerance: float | None) -> bool:
    match typ:
        case Num("f24"):
            if isinstance(expected, bool) or not isinstance(expected, int | float):
                return False
            want = f24(float(expected))
            if math.isnan(want) or math.isinf(want):
                return value == want or (math.isnan(value) and math.isnan(want))
            slack = max(F24_ABSOLUTE + F24_RELATIVE * abs(want), (tolerance or 0.0) * max(1.0, abs(want)))
            return bool(abs(value - want) <= slack)
        case Num():
            return bool(isinstance(expected, int) and value == int(expected))
        case ListOf(item):
            return (
                isinstance(expected, list)
                and len(value) == len(expected)
                and all(_equal(v, e, item, tolerance) for v, e in zip(value, expected, strict=True))
            )
        case Tup(items):
            return (
                isinstance(expected, tuple)
                and len(value) == len(expected)
                and all(_equal(v, e, t, tolerance) for v, e, t in zip(value, expected, items, strict=True))
            )
    return bool(isinstance(expected, str) and value == expected)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."
