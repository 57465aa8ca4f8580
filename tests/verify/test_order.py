"""The order in which a candidate gets its inputs: unknown to it beforehand, the same in every run."""

from __future__ import annotations

import dataclasses

from verify import Case, Checker, FunctionCheck

CODE = "def f(x):\n    print(x)\n    return x\n"
CHECK = FunctionCheck(CODE, "f", tuple(Case((number,), expected=number) for number in range(24)))


def _order(checker: Checker, check: FunctionCheck) -> list[int]:
    verdict = checker.check(check)
    assert verdict.ok, verdict.detail
    return [int(word) for word in verdict.stdout.split()]


def test_a_shuffle_that_depends_on_seed_and_code_alone(checker: Checker) -> None:
    order = _order(checker, CHECK)
    assert sorted(order) == list(range(24)) != order
    assert _order(checker, CHECK) == order
    assert _order(checker, dataclasses.replace(CHECK, seed=1)) != order
    assert _order(checker, dataclasses.replace(CHECK, code=CODE + "# other\n")) != order
