"""Verdicts of real Bend programs, on the worker and on the `bend` command."""

from __future__ import annotations

from typing import Any

import pytest

from verify.bend import check_function
from verify.bend.check import Level
from verify.limits import Limits
from verify.request import Case, FunctionCheck
from verify.verdict import Status, Verdict

pytestmark = pytest.mark.bend

LEVELS: tuple[Level, ...] = ("worker", "run-rs")
ADD = "def f(a: i24, b: i24) -> i24:\n  return a + b\n"


def check(code: str, cases: list[tuple[Any, ...]], level: Level = "worker", **limits: Any) -> Verdict:
    """Cases are (argument, ..., expected)."""
    made = tuple(Case(args=case[:-1], expected=case[-1]) for case in cases)
    return check_function(
        FunctionCheck(code=code, entry="f", cases=made, lang="bend", limits=Limits(**limits)), level=level
    )


@pytest.mark.parametrize("level", LEVELS)
def test_passes_and_counts(level: Level) -> None:
    verdict = check(ADD, [(1, 2, 3), (-5, 2, -3)], level)
    assert verdict.status is Status.PASSED
    assert (verdict.passed, verdict.total, verdict.per_case) == (2, 2, (True, True))
    assert verdict.backend == level
    assert "bubblewrap" in verdict.isolation or verdict.isolation in ("process", "seccomp")
    assert verdict.lang == "bend"


@pytest.mark.parametrize("level", LEVELS)
def test_fails_by_case(level: Level) -> None:
    verdict = check(ADD, [(1, 2, 3), (1, 2, 4), (0, 0, 0)], level)
    assert verdict.status is Status.FAILED
    assert verdict.per_case == (True, False, True)
    assert "case 1: expected 4, got 3" in verdict.detail


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("def f(a: u24, b: u24) -> u24:\n  return a +\n", Status.COMPILE_ERROR),
        ("def f(a: u24, b: u24) -> u24:\n  return c\n", Status.COMPILE_ERROR),
        ("def f(a: u24, b: u24) -> String:\n  return a\n", Status.TYPE_ERROR),
        ("def f(a: u24, b: u24) -> u24:\n  return a / (b - b)\n", Status.RUNTIME_ERROR),
        ("def g(a):\n  return *\n\ndef f(a: u24, b: u24) -> u24:\n  return g(a)\n", Status.BAD_OUTPUT),
        ("def f(a: u24, b: u24) -> u24:\n  return f(a, b)\n", Status.COMPILE_ERROR),
    ],
)
def test_statuses(code: str, status: Status, level: Level) -> None:
    verdict = check(code, [(1, 2, 3)], level)
    assert verdict.status is status, verdict.detail
    assert "c7/" not in verdict.detail


@pytest.mark.parametrize("level", LEVELS)
def test_both_count_the_same_interactions(level: Level) -> None:
    code = "def f(n: u24) -> u24:\n  if n < 2:\n    return n\n  else:\n    return f(n - 1) + f(n - 2)\n"
    assert check(code, [(10, 55), (5, 5)], level).interactions == 2693


@pytest.mark.parametrize("level", LEVELS)
def test_every_kind_of_value_comes_back(level: Level) -> None:
    code = (
        "def f(n: u24) -> (u24, List(u24), String, i24, List((u24, u24)), f24):\n"
        '  return (n, [], "", -5, [(1, 2)], 1.5)\n'
    )
    assert check(code, [(7, (7, [], "", -5, [(1, 2)], 1.5))], level).ok
    assert check(code, [(7, (7, [], "", -5, [(1, 3)], 1.5))], level).status is Status.FAILED
    text = "def f(s: String) -> String:\n  return s\n"
    assert check(text, [('a"\\\n\u00e9\U0001f600', 'a"\\\n\u00e9\U0001f600'), ("", "")], level).ok


@pytest.mark.parametrize("level", LEVELS)
def test_constants_are_forced(level: Level) -> None:
    code = "def table() -> List(u24):\n  return [1, 2]\n\ndef f(n: u24) -> List(u24):\n  return table\n"
    assert check(code, [(1, [1, 2])], level).ok
    assert check("def f() -> u24:\n  return 6 * 7\n", [(42,)], level).ok


def test_edges_of_24_bits() -> None:
    unsigned = "def f(n: u24) -> u24:\n  return n + 1\n"
    signed = "def f(n: i24) -> i24:\n  return n + +1\n"
    assert check(unsigned, [(16777215, 0)]).ok
    assert check(signed, [(8388607, -8388608)]).ok
    too_large = check(unsigned, [(1, 2), (16777215, 16777216)])
    assert too_large.status is Status.UNSUPPORTED
    assert "case 1" in too_large.detail
    assert check(unsigned, [(-1, 0)]).status is Status.TYPE_ERROR
    assert check(unsigned, [(None, 0)]).status is Status.UNSUPPORTED


def test_bools_and_numbers() -> None:
    code = "def f(n: u24) -> u24:\n  return n > 2\n"
    assert check(code, [(3, True), (1, False), (3, 1)]).ok
    assert check(code, [(3, False)]).status is Status.FAILED


def test_tuple_is_no_list() -> None:
    code = "def f(n: u24) -> (u24, u24):\n  return (n, n)\n"
    assert check(code, [(1, (1, 1))]).ok
    assert check(code, [(1, [1, 1])]).status is Status.FAILED


def test_no_cases_and_too_many() -> None:
    assert check(ADD, []).status is Status.UNSUPPORTED
    many = FunctionCheck(ADD, "f", (Case(args=(1, 2), expected=3),) * 3, lang="bend", limits=Limits(cases=2))
    assert check_function(many).status is Status.UNSUPPORTED


def test_many_cases_in_chunks() -> None:
    verdict = check(
        "def f(n: u24) -> List(u24):\n  return [n, n * n]\n", [(n, [n, n * n]) for n in range(100)]
    )
    assert (verdict.passed, verdict.status) == (100, Status.PASSED)


def test_case_options() -> None:
    code = "def f(xs: List(u24), k: u24) -> List(u24):\n  return xs\n"

    def one(case: Case) -> Status:
        return check_function(FunctionCheck(code=code, entry="f", cases=(case,), lang="bend")).status

    assert one(Case(args=([3, 1],), kwargs={"k": 1}, expected=[1, 3], compare="unordered")) is Status.PASSED
    assert one(Case(args=([3, 1],), kwargs={"k": 1}, expected=[1, 1], compare="unordered")) is Status.FAILED
    assert one(Case(args=([3, 1],), expected=[1, 3])) is Status.TYPE_ERROR
    assert one(Case(args=([], 1), raises="ValueError")) is Status.UNSUPPORTED
    assert one(Case(args=([], 1), mutates=True)) is Status.UNSUPPORTED
    assert (
        one(Case(args=([], 1), compare="oracle", oracle="def accept(a, o): return True"))
        is Status.UNSUPPORTED
    )


def test_float_tolerance() -> None:
    code = "def f(x: f24) -> f24:\n  return x / 3.0\n"
    assert check(code, [(1.0, 1 / 3), (2.0, 2 / 3)]).ok
    assert check(code, [(1.0, 0.34)]).status is Status.FAILED
    case = Case(args=(1.0,), expected=0.34, tolerance=0.01)
    assert check_function(FunctionCheck(code=code, entry="f", cases=(case,), lang="bend")).ok


def test_fuel_is_deterministic() -> None:
    code = "def f(n: u24) -> u24:\n  if n == 0:\n    return 0\n  else:\n    return f(n - 1)\n"
    needed = check(code, [(1000, 0)]).interactions
    assert needed is not None
    assert check(code, [(1000, 0)], fuel=needed).ok
    for level in LEVELS:
        assert check(code, [(1000, 0)], level, fuel=needed - 1).status is Status.FUEL


def test_memory_and_result_limits() -> None:
    grow = (
        "def f(n: u24) -> List(u24):\n  if n == 0:\n    return []\n"
        "  else:\n    return List/Cons(n, f(n - 1))\n"
    )
    assert check(grow, [(200_000, [])], mem_mb=8).status is Status.OOM
    assert check(grow, [(50_000, [])]).status is Status.OUTPUT_LIMIT
    assert check(grow, [(5_000, list(range(5_000, 0, -1)))]).ok
