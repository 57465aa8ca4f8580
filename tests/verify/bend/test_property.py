from __future__ import annotations

import pytest

from verify.bend import check_property
from verify.bend.property import Level, PropertyCheck
from verify.verdict import Status

FIB = "def fib(n: u24) -> u24:\n  if n < 2:\n    return n\n  else:\n    return fib(n - 1) + fib(n - 2)\n"
IDENTITY = "def holds(n: u24) -> u24:\n  k = n % 8\n  return fib(k + 2) == fib(k + 1) + fib(k)\n"


@pytest.mark.bend
@pytest.mark.parametrize("level", ["worker", "run-rs", "run-c"])
def test_a_property_that_holds(level: Level) -> None:
    verdict = check_property(PropertyCheck(FIB, "holds", IDENTITY, log2_cases=6), level=level)
    assert (verdict.status, verdict.passed, verdict.total) == (Status.PASSED, 64, 64), verdict.detail
    assert verdict.backend == level


@pytest.mark.bend
def test_the_smallest_counterexample_is_found() -> None:
    wrong = "def holds(n: u24) -> u24:\n  return (n % 16) != 11\n"
    verdict = check_property(PropertyCheck(FIB, "holds", wrong, log2_cases=7))
    assert (verdict.status, verdict.passed, verdict.total) == (Status.FAILED, 120, 128)
    assert verdict.detail == "8 of 128 inputs fail; smallest: n = 11"


@pytest.mark.bend
def test_a_generator_makes_the_input() -> None:
    code = (
        "def holds(xs: List(u24)) -> u24:\n  match xs:\n    case List/Nil:\n      return 1\n"
        "    case List/Cons:\n      return xs.head < 5\n\n"
        "def gen(n: u24) -> List(u24):\n  return [n, n * 2]\n"
    )
    verdict = check_property(PropertyCheck(FIB, "holds", code, generator="gen", log2_cases=3))
    assert verdict.status is Status.FAILED
    assert "n = 5, input [5, 10]" in verdict.detail


@pytest.mark.bend
def test_only_one_counts_as_true() -> None:
    odd = "def holds(n: u24) -> u24:\n  return 7\n"
    assert check_property(PropertyCheck(FIB, "holds", odd, log2_cases=2)).passed == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (PropertyCheck(FIB, "fib", log2_cases=99), Status.UNSUPPORTED),
        (PropertyCheck(FIB, "missing"), Status.COMPILE_ERROR),
        (PropertyCheck(FIB, "holds", "def holds(s: String) -> u24:\n  return 1\n"), Status.UNSUPPORTED),
        (PropertyCheck(FIB, "holds", "def holds(n: u24) -> i24:\n  return +1\n"), Status.UNSUPPORTED),
        (
            PropertyCheck(FIB + "\ndef holds(n: u24) -> u24:\n  return 1\n", "holds", IDENTITY),
            Status.COMPILE_ERROR,
        ),
        (PropertyCheck(FIB + "\ndef g(n: u24) -> u24:\n  return (", "holds", IDENTITY), Status.COMPILE_ERROR),
        (PropertyCheck("def main() -> u24:\n  return 1\n", "holds", IDENTITY), Status.REFUSED),
    ],
)
def test_turned_away(request_: PropertyCheck, status: Status) -> None:
    verdict = check_property(request_)
    assert verdict.status is status
    assert verdict.backend == "gate"


def test_run_cu_without_a_gpu_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    verdict = check_property(PropertyCheck(FIB, "holds", IDENTITY, log2_cases=2), level="run-cu")
    assert verdict.status is Status.UNAVAILABLE
