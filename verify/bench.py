"""What `verify bench` measures: Python checks beside their peers, in one run.

    rows(BenchOptions(repeats=3))     -> Row after Row as they are measured

Latency rows are medians over all tasks and repeats of one check at a time; `spread` is the interquartile
range over the median. Peers take turns with ours task by task, so that a busy machine is unfair to neither.
The peers: a plain `python -I -S` in bubblewrap a check, and evalplus's `untrusted_check`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verify import humaneval
from verify.bubblewrap import find
from verify.checker import Checker, open_checker
from verify.interpreter import interpreter
from verify.request import CheckRequest
from verify.sandbox import SandboxError
from verify.verdict import Status

PEER_PLAIN = "python -I -S in bubblewrap"
PEER_EVALPLUS = "evalplus untrusted_check"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. beside: the peer's in the same unit, `peer` who that is; ratio: value / beside."""

    name: str
    value: float
    unit: str
    beside: float | None = None
    ratio: float | None = None
    spread: float | None = None
    peer: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {key: round(v, 5) if isinstance(v, float) else v for key, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """repeats: of all 164 tasks. quick: every eighth task, once. workers: for checks a second."""

    backend: str = "auto"
    repeats: int = 3
    quick: bool = False
    workers: int = 2


def rows(options: BenchOptions) -> Iterator[Row]:
    """Raises SandboxError when the backend does not work here."""
    tasks = humaneval.problems()
    if options.quick:
        tasks = dict(list(tasks.items())[::8])
    with open_checker(options.backend, jobs=options.workers) as checker:
        if checker.sandbox is None:
            raise SandboxError(checker.probe.why)
        checker.warm()
        derived = humaneval.derived_checks(tasks, checker)
        yield from latency(tasks, list(derived.values()), checker, options)
        yield from throughput(list(derived.values()), humaneval.source_checks(tasks), checker, options)
        yield from correctness(tasks, derived, checker)
    yield cold_start(options)


def latency(
    tasks: dict[str, dict[str, str]], derived: Sequence[CheckRequest], checker: Checker, options: BenchOptions
) -> Iterator[Row]:
    """One check at a time, warm."""
    source = humaneval.source_checks(tasks)
    plain = _plain_runner()
    evalplus = _evalplus_runner(derived)
    ours: list[float] = []
    driven: list[float] = []
    peer: list[float] = []
    rival: list[float] = []
    repeats = 1 if options.quick else options.repeats
    for turn in range(repeats + 1):
        for index, problem in enumerate(tasks.values()):
            jobs: list[tuple[list[float], Callable[[], object]]] = [
                (ours, lambda i=index: checker.check(derived[i])),  # type: ignore[misc]  # lambda default
                (driven, lambda i=index: checker.check(source[i])),  # type: ignore[misc]  # lambda default
            ]
            if plain is not None:
                jobs.append((peer, lambda p=problem: plain(p)))  # type: ignore[misc]  # lambda default
            if evalplus is not None and turn == 1:  # once: it takes its time
                jobs.append((rival, lambda i=index: evalplus(i)))  # type: ignore[misc]  # lambda default
            for times, job in jobs if index % 2 else reversed(jobs):
                start = time.perf_counter()
                job()
                if turn:  # the first turn warms up
                    times.append((time.perf_counter() - start) * 1_000)
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        yield _beside(f"HumanEval check, function cases, {name}", ours, share, peer, PEER_PLAIN)
        yield _beside(f"HumanEval check, function cases, {name}", ours, share, rival, PEER_EVALPLUS)
        yield _beside(f"HumanEval check, own test source, {name}", driven, share, peer, PEER_PLAIN)


def _beside(name: str, ours: list[float], share: float, peer: list[float], who: str) -> Row:
    value = quantile(ours, share)
    other = quantile(peer, share) if peer else None
    note = "" if peer else f"{who} is not here"
    ratio = value / other if other else None
    return Row(
        name, value, "ms", other, ratio, spread(ours) if share == 0.5 else None, who if peer else "", note
    )


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float]) -> float:
    """Interquartile range over the median."""
    if len(values) < 4:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def throughput(
    derived: Sequence[CheckRequest], source: Sequence[CheckRequest], checker: Checker, options: BenchOptions
) -> Iterator[Row]:
    """Checks a second with all workers busy, HumanEval/0 alone and all tasks; evalplus's on trivial samples
    beside.
    """
    rival = _evalplus_rate(derived)
    count = 200 if options.quick else 1_000
    for name, requests in (
        ("checks/s, HumanEval/0, function cases", [derived[0]] * count),
        ("checks/s, HumanEval, function cases", list(derived) * max(1, count // len(derived))),
        ("checks/s, HumanEval, own test source", list(source) * max(1, count // 2 // len(source))),
    ):
        rates = []
        for _ in range(2 if options.quick else 5):
            start = time.perf_counter()
            done = sum(1 for _ in checker.check_many(requests))
            rates.append(done / (time.perf_counter() - start))
        value = statistics.median(rates)
        ratio = value / rival if rival else None
        note = f"{checker.jobs} workers on {len(os.sched_getaffinity(0))} cores"
        yield Row(
            name,
            value,
            "1/s",
            rival,
            ratio,
            spread(rates),
            f"{PEER_EVALPLUS}, HumanEval/0" if rival else "",
            note,
        )


def correctness(tasks: dict[str, dict[str, str]], derived: dict[str, Any], checker: Checker) -> Iterator[Row]:
    """Canonical solutions that pass, twice, all workers busy; and with one expected value changed each."""
    total = float(len(tasks))
    forms: tuple[tuple[str, list[CheckRequest]], ...] = (
        ("canonical passed, own test source", [*humaneval.source_checks(tasks)]),
        ("canonical passed, function cases", [*derived.values()]),
    )
    for name, requests in forms:
        for turn in (1, 2):
            passed = sum(verdict.ok for verdict in checker.check_many(requests))
            yield Row(f"{name}, run {turn}", float(passed), "tasks", total, passed / total, None, "all tasks")
    changed = [humaneval.mutated(check) for check in derived.values()]
    verdicts = list(checker.check_many(changed))
    passed = sum(verdict.ok for verdict in verdicts)
    failed = sum(verdict.status is Status.FAILED for verdict in verdicts)
    note = f"{failed} FAILED"
    yield Row(
        "passed with one expected value changed",
        float(passed),
        "tasks",
        total,
        passed / total,
        None,
        "all tasks",
        note,
    )


def cold_start(options: BenchOptions) -> Row:
    """From nothing to the first verdict."""
    times = []
    check = None
    for _ in range(3):
        start = time.perf_counter()
        with open_checker(options.backend, jobs=1) as checker:
            check = checker.check(
                humaneval.source_checks(dict([next(iter(humaneval.problems().items()))]))[0]
            )
        times.append((time.perf_counter() - start) * 1_000)
    note = "" if check is not None and check.ok else "did not pass"
    return Row("cold start to the first verdict", statistics.median(times), "ms", spread=0.0, note=note)


def _plain_runner() -> Callable[[dict[str, str]], object] | None:
    """One `python -I -S` in bubblewrap a check: solution and test in one process, which a hostile solution
    defeats.
    """
    try:
        binary = find()
    except SandboxError:
        return None
    python = interpreter()
    line = [binary, "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr"]
    for name in ("lib", "lib64", "bin"):
        if os.path.islink(f"/{name}"):
            line += ["--symlink", f"usr/{name}", f"/{name}"]
    for folder in python.folders:
        if not folder.startswith("/usr/"):
            line += ["--ro-bind", folder, folder]
    line += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--clearenv", "--chdir", "/tmp"]
    line += [python.binary, "-I", "-S", "-"]

    def run(problem: dict[str, str]) -> object:
        source = f"{humaneval.canonical(problem)}\n{problem['test']}\ncheck({problem['entry_point']})\n"
        return subprocess.run(line, input=source.encode(), check=True, capture_output=True, timeout=60)

    return run


def _evalplus_runner(derived: Sequence[Any]) -> Callable[[int], object] | None:
    try:
        from evalplus.eval import untrusted_check
    except ImportError:
        return None

    def run(index: int) -> object:
        check = derived[index]
        inputs = [list(case.args) for case in check.cases]
        expected = [case.expected for case in check.cases]
        times = [0.1] * len(inputs)
        return untrusted_check(
            "humaneval", check.code, inputs, check.entry, expected, 1e-6, times, min_time_limit=4.0
        )

    return run


def _evalplus_rate(derived: Sequence[Any]) -> float | None:
    """evalplus checks a second on HumanEval/0, from as many threads as it forks processes well."""
    run = _evalplus_runner(derived)
    if run is None:
        return None
    from concurrent.futures import ThreadPoolExecutor

    count = 40
    with ThreadPoolExecutor(2) as pool:
        start = time.perf_counter()
        list(pool.map(lambda _: run(0), range(count)))
        return count / (time.perf_counter() - start)
