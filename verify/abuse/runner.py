"""Runs abuse cases on a backend: right verdict, nothing leaked, nothing left, and an honest check passes
after each.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from verify.abuse.canary import Canary, Scene
from verify.abuse.case import AbuseCase
from verify.bend import close as close_bend
from verify.checker import Checker
from verify.request import Case, FunctionCheck, TestSourceCheck
from verify.verdict import Status, Verdict

SETTLE_S = 5.0
_HONEST = """
import os
def f(x):
    left = []
    for folder in (os.getcwd(), "/tmp", "/dev/shm"):
        try:
            left += [name for name in os.listdir(folder) if "trihead-run" in name or "trihead-escape" in name]
        except OSError:
            pass
    return (x + 1, sorted(set(left)))
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One case's outcome. `problems` is empty when all is well."""

    name: str
    lang: str
    status: str
    allowed: bool
    problems: tuple[str, ...]
    wall_ms: float
    why: str

    @property
    def ok(self) -> bool:
        return self.allowed and not self.problems

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def run_cases(cases: list[AbuseCase], checker: Checker, canary: Canary) -> Iterator[Row]:
    """One row a case, in order. The checker should have one job, so that the next check follows in the same
    server.
    """
    backend = checker.probe.name
    _honest(checker)
    time.sleep(0.3)  # until the spare children of the next check are there
    start = canary.look()
    for case in cases:
        yield _run(case.filled(canary.words(backend)), checker, canary, start)


def _honest(checker: Checker) -> str:
    """What is wrong with two honest checks, "" when nothing. They end with equally many spare children."""
    for request in (
        FunctionCheck(_HONEST, "f", (Case((1,), expected=(2, [])),)),
        TestSourceCheck("def f(x):\n    return x", "f", "def check(f):\n    assert f(1) == 1\n"),
    ):
        verdict = checker.check(request)
        if not verdict.ok:
            return f"HARM: an honest check afterwards is {verdict.status}: {verdict.detail}"[:200]
    return ""


def _run(case: AbuseCase, checker: Checker, canary: Canary, start: Scene) -> Row:
    began = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="abuse-"))
    try:
        for _ in range(case.repeat):
            verdict = checker.check(case.request(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    wall_ms = (time.perf_counter() - began) * 1_000
    problems = _leaks(case, verdict, canary)
    if case.lang == "python" and (harm := _honest(checker)):
        problems.append(harm)
    if case.lang == "bend":
        # A warm worker is ours: without it, what is left belongs to the program.
        close_bend()
    deadline = time.monotonic() + SETTLE_S
    while (left := canary.differences(start)) and time.monotonic() < deadline:
        if any(line.startswith("ESCAPE") for line in left):
            break
        time.sleep(0.05)
    allowed = verdict.status in case.allow
    if not allowed and verdict.status is Status.PASSED:
        problems.append("FORGED: passed")
    return Row(case.name, case.lang, str(verdict.status), allowed, (*problems, *left), wall_ms, case.why)


def _leaks(case: AbuseCase, verdict: Verdict, canary: Canary) -> list[str]:
    text = "\n".join((verdict.stdout, verdict.stderr, verdict.detail))
    found = [f"ESCAPE: {word} in the output" for word in case.leaks if word in text]
    if canary.secret in text:
        found.append("ESCAPE: the planted secret in the output")
    if verdict.status is Status.INTERNAL_ERROR:
        found.append(f"HARM: {verdict.detail}"[:200])
    return found
