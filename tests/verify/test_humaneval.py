"""164 canonical solutions pass, by their own test source and by derived cases; with a changed expectation
none does.
"""

from __future__ import annotations

from verify import humaneval
from verify.checker import Checker
from verify.verdict import Status


def test_canonical_and_mutated(checker: Checker) -> None:
    tasks = humaneval.problems()
    assert len(tasks) == 164
    source = list(checker.check_many(humaneval.source_checks(tasks)))
    assert [(task, v.detail) for task, v in zip(tasks, source, strict=True) if not v.ok] == []
    derived = humaneval.derived_checks(tasks, checker)
    verdicts = list(checker.check_many(derived.values()))
    assert [(task, v.detail) for task, v in zip(derived, verdicts, strict=True) if not v.ok] == []
    mutated = list(checker.check_many(humaneval.mutated(check) for check in derived.values()))
    assert {verdict.status for verdict in mutated} == {Status.FAILED}


def test_empty_solutions_fail(checker: Checker) -> None:
    tasks = dict(list(humaneval.problems().items())[:40])
    empty = [humaneval.source_check(p, p["prompt"] + "    pass\n") for p in tasks.values()]
    assert not any(verdict.ok for verdict in checker.check_many(empty))
