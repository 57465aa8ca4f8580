"""Solutions judged by their outputs, in a real sandbox: right ones, wrong ones, slow ones, and cheats."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from evals.benchmark import Scored, Task, open_benchmark
from evals.errors import DataError
from evals.judge import Judge
from evals.run import judge_twice
from evals.runner import InputRun, InputRunner, Inputs
from tests.evals.conftest import plus_row
from verify.verdict import Status


def score(data: Path, judge: Judge, number: int, solution: str) -> Scored:
    benchmark = open_benchmark("humaneval+", data)
    return benchmark.score(benchmark.tasks[f"HumanEval/{number}"], solution, judge)


def test_references_pass_and_the_store_is_used(plus_data: Path, judge: Judge, home: Path) -> None:
    benchmark = open_benchmark("humaneval+", plus_data)
    for _ in range(2):
        for task in benchmark.tasks.values():
            assert benchmark.score(task, task.reference, judge).ok
    stored = list((home / "evals" / "expected").rglob("*.json"))
    assert len(stored) == 4
    assert all(len(json.loads(p.read_text())["digests"]) for p in stored)


def test_a_reference_that_many_threads_want_runs_once(
    plus_data: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    run = InputRunner.run

    def counted(self: InputRunner, code: str, inputs: Inputs, **settings: Any) -> InputRun:
        started.append(code)
        return run(self, code, inputs, **settings)

    monkeypatch.setattr(InputRunner, "run", counted)
    benchmark = open_benchmark("humaneval+", plus_data)
    task = benchmark.tasks["HumanEval/0"]
    answers = [RIGHT[0] + f"  # {n}" for n in range(6)]
    with ThreadPoolExecutor(len(answers)) as pool:
        assert all(pool.map(lambda answer: benchmark.score(task, answer, judge).ok, answers))
    assert sorted(started) == sorted([task.reference, *answers])


RIGHT = {
    0: "def total(xs):\n    n = 0\n    for x in xs: n += x\n    return n",
    1: "import math\ndef mean(xs):\n    return math.fsum(xs) / len(xs) + 1e-9",
    2: "def distinct(s):\n    return {c for c in reversed(s)}",
    3: "def twice(xs):\n    return xs * 2",
}


@pytest.mark.parametrize("number", RIGHT)
def test_other_right_solutions(plus_data: Path, judge: Judge, number: int) -> None:
    scored = score(plus_data, judge, number, RIGHT[number])
    assert scored.ok
    assert scored.plus is not None
    assert (scored.base.passed, scored.plus.passed) == (scored.base.total, scored.plus.total)


def test_base_and_plus_are_counted_apart(plus_data: Path, judge: Judge) -> None:
    scored = score(plus_data, judge, 0, "def total(xs):\n    return sum(xs[:2])")
    assert scored.base.ok
    assert scored.plus is not None
    assert scored.plus.status is Status.FAILED
    assert scored.plus.failed == (2,)
    assert scored.plus.detail == "input 2: returned 30, not 60"


BAD = [
    ("def total(xs):\n    return None", Status.FAILED),
    ("def total(xs):\n    return str(sum(xs))", Status.FAILED),
    ("def total(xs):\n    return (x for x in xs)", Status.BAD_OUTPUT),
    ("def total(xs):\n    return object()", Status.BAD_OUTPUT),
    ("def total(xs):\n    raise ValueError('no')", Status.RUNTIME_ERROR),
    ("def total(xs):\n    import sys; sys.exit(0)", Status.RUNTIME_ERROR),
    ("def other(xs):\n    return 0", Status.COMPILE_ERROR),
    ("def total(xs:\n    return 0", Status.COMPILE_ERROR),
    ("", Status.COMPILE_ERROR),
    ("Sure! Here is how you do it: add the numbers.", Status.COMPILE_ERROR),
    ("import nosuchmodule\ndef total(xs):\n    return sum(xs)", Status.RUNTIME_ERROR),
    ("import os\ndef total(xs):\n    os._exit(0)", Status.FAILED),
    ("import os\nos._exit(0)", Status.RUNTIME_ERROR),
]


@pytest.mark.parametrize(("solution", "status"), BAD)
def test_bad_solutions(plus_data: Path, judge: Judge, solution: str, status: Status) -> None:
    scored = score(plus_data, judge, 0, solution)
    assert not scored.ok
    assert not scored.infra
    assert scored.base.status is status


CHEATS = [
    # An object equal to everything: passes stock evalplus.
    "class Any:\n    def __eq__(self, other): return True\n    def __hash__(self): return 0\n"
    "def total(xs):\n    return Any()",
    # A number that is equal to everything.
    "class N(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
    "def total(xs):\n    return N(7)",
    # Expected values in a caller's frame: passes stock evalplus.
    "import sys\ndef total(xs):\n    frame = sys._getframe()\n    while frame:\n"
    "        for name in ('expected', 'exp', 'digests', 'reference'):\n"
    "            if name in frame.f_locals: return frame.f_locals[name]\n"
    "        frame = frame.f_back\n    return 0",
    # Printing what a verdict looks like, on every descriptor there is.
    "import os\nfor fd in range(1, 20):\n    try: os.write(fd, b'+\\n.\\n')\n    except OSError: pass\n"
    "def total(xs):\n    for fd in range(1, 20):\n        try: os.write(fd, b'0' * 32 + b'\\n.\\n')\n"
    "        except OSError: pass\n    os._exit(0)",
    # Comparison tools replaced.
    "import hashlib, marshal\nmarshal.dumps = lambda *a: b''\nhashlib.blake2b = None\n"
    "def total(xs):\n    return 0",
]


@pytest.mark.parametrize("solution", CHEATS, ids=range(len(CHEATS)))
def test_cheats_fail(plus_data: Path, judge: Judge, solution: str) -> None:
    scored = score(plus_data, judge, 0, solution)
    assert not scored.base.ok
    assert scored.plus is not None
    assert not scored.plus.ok


def test_values_that_python_calls_equal(plus_data: Path, judge: Judge) -> None:
    equal = (
        "import enum\nclass E(enum.IntEnum):\n    A = 3\n"
        "def total(xs):\n    return E.A if sum(xs) == 3 else float(sum(xs))"
    )
    assert score(plus_data, judge, 0, equal).ok
    assert score(plus_data, judge, 2, "def distinct(s):\n    return frozenset(s)").ok
    assert not score(plus_data, judge, 3, "def twice(xs):\n    return tuple(xs * 2)").ok


def test_a_solution_that_hangs_times_out_and_the_next_is_judged(
    plus_data: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.runner.MIN_LIMIT_S", 0.3)
    scored = score(
        plus_data, judge, 0, "def total(xs):\n    if not xs:\n        while True: pass\n    return sum(xs)"
    )
    assert scored.base.status is Status.TIMEOUT
    assert scored.base.passed == 1
    assert scored.plus is not None
    assert scored.plus.status is Status.TIMEOUT
    assert scored.plus.passed == 0
    assert score(plus_data, judge, 0, RIGHT[0]).ok


@pytest.mark.parametrize(
    ("line", "settled", "calls"),
    [("while True: pass", True, 1), ("__import__('time').sleep(99)", False, 2)],
)
def test_only_a_limit_that_load_can_change_is_checked_twice(
    plus_data: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch, line: str, settled: bool, calls: int
) -> None:
    monkeypatch.setattr("evals.runner.MIN_LIMIT_S", 0.1)
    benchmark = open_benchmark("humaneval+", plus_data)
    seen: list[Scored] = []
    real = benchmark.score

    def counted(task: Task, solution: str, judge: Judge) -> Scored:
        seen.append(real(task, solution, judge))
        return seen[-1]

    monkeypatch.setattr(benchmark, "score", counted)
    code = f"def total(xs):\n    {line}"
    scored, flaky = judge_twice(benchmark, benchmark.tasks["HumanEval/0"], code, judge)
    assert (scored.base.status, flaky, len(seen)) == (Status.TIMEOUT, False, calls)
    assert scored.base.cpu_timeout is settled


def test_a_solution_that_hangs_before_it_is_called(
    plus_data: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.runner.MIN_LIMIT_S", 0.1)
    scored = score(plus_data, judge, 0, "while True: pass")
    assert scored.base.status is Status.TIMEOUT


def test_large_outputs_and_numbers_too_long_to_print(tmp_path: Path, judge: Judge) -> None:
    rows = [
        plus_row(0, "big", "    return 'x' * args[0]\n", [[3_000_000]], [[5]]),
        plus_row(1, "power", "    return [10 ** args[0]] * 3\n", [[20_000]], [[5]]),
    ]
    data = tmp_path / "big.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score(data, judge, 0, "def big(n):\n    return ''.join('x' for _ in range(n))").ok
    assert score(data, judge, 1, "def power(n):\n    return [10 ** n for _ in range(3)]").ok
    wrong = score(data, judge, 1, "def power(n):\n    return [10 ** n + 1, 10 ** n, 10 ** n]")
    assert wrong.base.detail == "input 0: returned a very long number, not a very long number"


def test_damaged_data_is_named(tmp_path: Path, judge: Judge) -> None:
    row = plus_row(0, "f", "    return 1 / args[0]\n", [[1]], [[0]])
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps(row))
    with pytest.raises(DataError, match="HumanEval/0: its own reference solution fails on input 1"):
        score(data, judge, 0, "def f(x):\n    return 1")


def test_a_slow_solution_pauses_and_goes_on_only_while_it_may_still_pass(
    plus_data: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.differential.PAUSE_S", 0.02)
    slow = "def total(xs):\n    for _ in range(400_000): pass\n    return sum(xs)"
    right = score(plus_data, judge, 0, slow)
    assert right.ok
    assert right.plus is not None
    assert (right.base.passed, right.plus.passed) == (2, 3)
    wrong = score(plus_data, judge, 0, slow + " + 1")
    assert wrong.base.status is Status.FAILED
    assert wrong.plus is not None
    assert wrong.plus.status is Status.FAILED
    only_plus = score(plus_data, judge, 0, slow.replace("sum(xs)", "sum(xs[:2])"))
    assert only_plus.base.ok
    assert only_plus.plus is not None
    assert only_plus.plus.failed == (2,)


def test_a_loop_runs_once_and_not_again_after_a_pause(
    plus_data: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.runner.MIN_LIMIT_S", 0.2)
    monkeypatch.setattr("evals.differential.PAUSE_S", 0.05)
    runs: list[InputRun] = []
    real = InputRunner.run

    def counted(self: InputRunner, *args: Any, **more: Any) -> InputRun:
        runs.append(real(self, *args, **more))
        return runs[-1]

    score(plus_data, judge, 0, RIGHT[0])  # the reference's own run
    monkeypatch.setattr(InputRunner, "run", counted)
    scored = score(plus_data, judge, 0, "def total(xs):\n    while True: pass")
    assert scored.base.status is Status.TIMEOUT
    assert [(run.lines, run.paused) for run in runs] == [(("T",), False)]


def test_a_program_that_forges_pauses_is_not_run_for_ever(plus_data: Path, judge: Judge) -> None:
    forged = (
        "import os\ndef total(xs):\n    for fd in range(3, 20):\n"
        "        try: os.write(fd, b'+\\nP\\n')\n        except OSError: pass\n    os._exit(0)"
    )
    assert not score(plus_data, judge, 0, forged).base.ok


def test_a_reference_without_a_value_is_no_fault_of_the_candidate(
    plus_data: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(plus_data, judge, 0, RIGHT[0])
    real = InputRunner.run

    def cut(self: InputRunner, code: str, *args: Any, **more: Any) -> InputRun:
        run = real(self, code, *args, **more)
        return (
            dataclasses.replace(run, lines=()) if more.get("full") and "return sum(args[0])" in code else run
        )

    monkeypatch.setattr(InputRunner, "run", cut)
    assert score(plus_data, judge, 0, "def total(xs):\n    return sum(xs) + 1").infra
