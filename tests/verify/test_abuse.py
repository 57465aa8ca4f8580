"""Every abuse case is well formed, and the quick ones hold on bubblewrap. `verify abuse` runs all on any
backend.
"""

from __future__ import annotations

import pytest

from verify.abuse.canary import Canary
from verify.abuse.case import AbuseCase, read_all
from verify.abuse.runner import run_cases
from verify.checker import open_checker
from verify.verdict import Status

CASES = read_all("python")
QUICK = [
    case
    for case in CASES
    if case.suits("bubblewrap")
    and Status.TIMEOUT not in case.allow
    and case.header.get("kind") != "command"
    and not case.name.startswith(("memory_many", "compile_bomb", "file_deep", "disk_inodes"))
]


def test_there_are_enough() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_program_is_never_just_right(case: AbuseCase) -> None:
    assert len(case.why) > 15
    assert case.allow - {Status.PASSED}, "a case that may only pass tests nothing"
    assert not case.allow & {Status.INTERNAL_ERROR, Status.UNSUPPORTED, Status.UNAVAILABLE}


def test_quick_cases_on_bubblewrap() -> None:
    assert len(QUICK) > 50
    with Canary() as canary, open_checker("bubblewrap", jobs=1) as checker:
        assert checker.sandbox is not None, checker.probe.why
        rows = list(run_cases(QUICK, checker, canary))
    assert [(row.name, row.status, row.problems) for row in rows if not row.ok] == []
