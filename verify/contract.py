"""What a promise of a sandbox is: a test without a test framework, its register, and its few words.

A promise raises ContractError with what is wrong. A backend that cannot keep one says so in `EXCUSED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from verify.checker import Checker
from verify.limits import Limits
from verify.request import Case, FunctionCheck
from verify.verdict import Status, Verdict

Test = Callable[[Checker], None]
CHECKS: dict[str, Test] = {}
EXCUSED: dict[tuple[str, str], str] = {
    ("subprocess", "host_files_are_not_there"): "it is no sandbox",
    ("subprocess", "memory_is_shared_out"): "rlimits count each process alone",
}
QUICK = Limits(wall_s=2.0, cpu_s=2.0, mem_mb=256)
COMMAND = Limits(wall_s=60.0, cpu_s=60.0, mem_mb=1024, disk_mb=16, processes=32)


class ContractError(AssertionError):
    """A promise that the backend does not keep."""


def promise(test: Test) -> Test:
    CHECKS[test.__name__] = test
    return test


def run_all(checker: Checker) -> Iterator[tuple[str, str, str]]:
    """(name, "ok" | "broken" | "excused", why) for every promise."""
    for name, test in CHECKS.items():
        excuse = EXCUSED.get((checker.probe.name, name))
        if excuse:
            yield name, "excused", excuse
            continue
        try:
            test(checker)
        except ContractError as error:
            yield name, "broken", str(error)
        else:
            yield name, "ok", (test.__doc__ or "").strip()


def call(checker: Checker, body: str, *cases: Case, limits: Limits = QUICK, entry: str = "f") -> Verdict:
    """Check the function `f` in `body` on cases, by default f(1) == 2."""
    return checker.check(FunctionCheck(body, entry, cases or (Case((1,), expected=2),), limits=limits))


def want(verdict: Verdict, *statuses: Status) -> Verdict:
    if verdict.status not in statuses:
        words = " or ".join(statuses)
        raise ContractError(f"{verdict.status} instead of {words}: {verdict.detail} {verdict.stderr[-300:]}")
    return verdict


def equal(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise ContractError(f"{found!r} instead of {wanted!r}")
