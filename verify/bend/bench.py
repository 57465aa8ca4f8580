"""Benchmark rows for `verify bench`: the worker beside `bend run-rs` in one run, and the GPU beside the CPU.

    python -m verify.bend.bench            # worker against run-rs
    python -m verify.bend.bench --gpu 18   # run-cu against run-c on 2^18 cases, on a machine with a GPU

Rows have `name, value, unit, beside, peer, ratio, spread, note`: the median of ours, the peer's and its name,
how many times faster ours is, and the distance between the quartiles.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from verify.bend.check import check_function
from verify.bend.property import LIMITS, PropertyCheck, check_property
from verify.limits import Limits
from verify.request import Case, FunctionCheck
from verify.verdict import Status, Verdict

_SUM = """def total(xs: List(i24)) -> i24:
  match xs:
    case List/Nil:
      return +0
    case List/Cons:
      return xs.head + total(xs.tail)
"""
_PRIME = """def is_prime(n: u24) -> u24:
  if n < 2:
    return 0
  else:
    return search(n, 2)

def search(n: u24, d: u24) -> u24:
  if d * d > n:
    return 1
  else:
    if n % d == 0:
      return 0
    else:
      return search(n, d + 1)
"""
_FIB = """def fib(n: u24) -> u24:
  if n < 2:
    return n
  else:
    return fib(n - 1) + fib(n - 2)
"""
_SORT = """def insert(x: u24, xs: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return [x]
    case List/Cons:
      if x < xs.head:
        return List/Cons(x, List/Cons(xs.head, xs.tail))
      else:
        return List/Cons(xs.head, insert(x, xs.tail))

def sort(xs: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return []
    case List/Cons:
      return insert(xs.head, sort(xs.tail))
"""
_IDENTITY = """def identity(n: u24) -> u24:
  k = (n % 8) + 2
  return fib(k + 2) == fib(k + 1) + fib(k)
"""


class BenchError(Exception):
    """A level is missing here or gave a wrong verdict: nothing worth timing. One line."""


@dataclass(frozen=True, slots=True)
class _Program:
    name: str
    code: str
    entry: str
    cases: tuple[Case, ...]


def _programs() -> list[_Program]:
    """At most 8 cases and 50 k interactions each."""
    lists = [[5, 3, 1], [], [2, 2, 9, 0], [7], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]]
    numbers = {0: 0, 1: 0, 2: 1, 3: 1, 4: 0, 97: 1, 7919: 1, 65521: 1}
    fibs = {0: 0, 1: 1, 2: 1, 5: 5, 10: 55, 12: 144, 14: 377, 15: 610}
    return [
        _Program("sum", _SUM, "total", tuple(Case(args=(xs,), expected=sum(xs)) for xs in lists)),
        _Program(
            "is_prime", _PRIME, "is_prime", tuple(Case(args=(n,), expected=p) for n, p in numbers.items())
        ),
        _Program("fib", _FIB, "fib", tuple(Case(args=(n,), expected=f) for n, f in fibs.items())),
        _Program("sort", _SORT, "sort", tuple(Case(args=(xs,), expected=sorted(xs)) for xs in lists)),
    ]


def rows(*, repeats: int = 200, cli_repeats: int = 20) -> list[dict[str, Any]]:
    """Time of a check in the worker, warm, beside `bend run-rs`, for four small programs and over all of
    them.

    Raises BenchError when a check does not pass: a wrong verdict is not worth timing.
    """
    from verify.bend import close

    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    interactions: dict[str, int] = {}
    close()
    start = time.perf_counter()
    _timed(lambda: _check(_programs()[0], "worker"))
    cold = (time.perf_counter() - start) * 1000
    for program in _programs():
        _check(program, "run-rs")
        theirs[program.name] = [_timed(partial(_check, program, "run-rs")) for _ in range(cli_repeats)]
        interactions[program.name] = _check(program, "worker").interactions or 0
        ours[program.name] = [_timed(partial(_check, program, "worker")) for _ in range(repeats)]
    out = []
    for name, times in ours.items():
        count = f"{interactions[name]:,} interactions"
        out.append(_row(f"bend {name} p50 ({count})", times, "bend run-rs", theirs[name]))
    everything = [t for times in ours.values() for t in times]
    beside = [t for times in theirs.values() for t in times]
    out.append(_row("bend all p50", everything, "bend run-rs", beside))
    out.append(_row("bend all p95", everything, "bend run-rs", beside, quantile=0.95))
    out.append(
        {
            "name": "bend worker cold start",
            "value": round(cold, 3),
            "unit": "ms",
            "beside": None,
            "ratio": None,
            "spread": None,
        }
    )
    return out


def gpu_rows(*, log2_cases: int = 18, repeats: int = 3) -> list[dict[str, Any]]:
    """One property batch of 2^log2_cases independent cases: `run-cu` beside `run-c` on this machine's cores.

    HVM's own times are compared (they leave out compilation and the start of CUDA); the wall times are rows
    of their own. Raises BenchError when a backend is missing or the verdicts differ.
    """
    limits = Limits(wall_s=300.0, cpu_s=600.0, mem_mb=65_536, fuel=1 << 40)
    request = PropertyCheck(
        code=_FIB, property="identity", property_code=_IDENTITY, log2_cases=log2_cases, limits=limits
    )
    found: dict[str, list[Verdict]] = {}
    for level in ("run-cu", "run-c"):  # the GPU first: without one this ends at once
        found[level] = []
        for _ in range(repeats):
            verdict = check_property(request, level=level)
            found[level].append(verdict)
            if verdict.status is not Status.PASSED:
                raise BenchError(f"{level}: {verdict.status}: {verdict.detail}")
    gpu, cpu = ([v.eval_ms or 0.0 for v in found[level]] for level in ("run-cu", "run-c"))
    count = found["run-cu"][0].interactions or 0
    name = f"bend property 2^{log2_cases} cases ({count:,} interactions)"
    return [
        _row(f"{name}, reduction", gpu, "run-c", cpu),
        _row(
            f"{name}, wall",
            [v.wall_ms for v in found["run-cu"]],
            "run-c",
            [v.wall_ms for v in found["run-c"]],
        ),
    ]


def property_rows(*, log2_cases: int = 10, repeats: int = 5) -> list[dict[str, Any]]:
    """The same batch without a GPU: the worker and `run-c` beside `run-rs`."""
    request = PropertyCheck(
        code=_FIB, property="identity", property_code=_IDENTITY, log2_cases=log2_cases, limits=LIMITS
    )
    times: dict[str, list[float]] = {}
    for level in ("run-rs", "worker", "run-c"):
        times[level] = []
        for _ in range(repeats):
            verdict = check_property(request, level=level)
            if verdict.status is not Status.PASSED:
                raise BenchError(f"{level}: {verdict.status}: {verdict.detail}")
            times[level].append(verdict.wall_ms)
    name = f"bend property 2^{log2_cases} cases"
    return [
        _row(f"{name}, {level}", times[level], "bend run-rs", times["run-rs"])
        for level in ("worker", "run-c")
    ]


def _check(program: _Program, level: Any) -> Verdict:
    request = FunctionCheck(code=program.code, entry=program.entry, cases=program.cases, lang="bend")
    verdict = check_function(request, level=level)
    if verdict.status is not Status.PASSED:
        raise BenchError(f"{program.name} on {level}: {verdict.status}: {verdict.detail}")
    return verdict


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def _row(
    name: str, ours: list[float], beside: str, theirs: list[float], *, quantile: float = 0.5
) -> dict[str, Any]:
    value, other = _quantile(ours, quantile), _quantile(theirs, quantile)
    return {
        "name": name,
        "value": round(value, 3),
        "unit": "ms",
        "beside": round(other, 3),
        "peer": beside,
        "note": "ratio: times faster",
        "ratio": round(other / value, 2) if value else None,
        "spread": round(_quantile(ours, 0.75) - _quantile(ours, 0.25), 3),
    }


def _quantile(values: list[float], at: float) -> float:
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[round(at * 100) - 1]


def main() -> None:
    """Print rows as JSON lines; one line on stderr and exit code 5 where a level is missing."""
    try:
        if "--gpu" in sys.argv:
            found = gpu_rows(log2_cases=int(sys.argv[sys.argv.index("--gpu") + 1]))
        else:
            found = rows() + property_rows()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        raise SystemExit(5) from None
    for row in found:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
