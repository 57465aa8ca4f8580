"""Judges of training rollouts, found by the entry point group `trihead.verifiers`.

A task is a row of a task file: `entry`, `stub`, and `cases` in the notation of `verify run --cases`. What can
be judged of a prefix, whose last line may be unfinished: a Python prefix whose whole lines already break the
grammar; and, in both languages, an entry function that is complete (another top-level line follows it) and
returns wrong values. Only wrong values count: a name that is missing may still be defined. A program that
would define its entry a second time, rightly, is cut wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from verify.cases import CasesError, parse_cases
from verify.checker import Checker, open_checker
from verify.limits import Limits
from verify.request import Case, FunctionCheck, Lang
from verify.reward import reward
from verify.verdict import Status, Verdict

LIMITS = Limits(wall_s=4.0, cpu_s=4.0)
_INCOMPLETE = 0x4000  # PyCF_ALLOW_INCOMPLETE_INPUT, which `codeop` uses
_DONT_IMPLY_DEDENT = 0x200
_MAX_PARSED = 64 << 10


class TaskVerifier:
    """Function cases, judged in the sandbox (`python`) or on HVM (`bend`)."""

    def __init__(self, lang: Lang) -> None:
        self.fence = self._lang = lang
        self._checker: Checker = open_checker()
        self._cases: dict[str, tuple[Case, ...]] = {}

    def unavailable(self) -> str:
        if self._lang == "bend":
            from verify.bend.toolchain import Unavailable, toolchain

            try:
                toolchain()
            except Unavailable as error:
                return str(error)
            return ""
        return "" if self._checker.probe.works else self._checker.probe.why

    def problem(self, task: Mapping[str, Any]) -> str:
        """What is wrong with a task's row, or ''."""
        for key in ("id", "entry", "stub"):
            if not isinstance(task.get(key), str):
                return f"{key!r} must be text"
        try:
            self._cases_of(task)
        except CasesError as error:
            return str(error)
        return ""

    def judge(self, task: Mapping[str, Any], programs: Sequence[str]) -> list[str]:
        """The status of each program."""
        verdicts = self._checker.check_many(self._check(task, program) for program in programs)
        return [str(verdict.status) for verdict in verdicts]

    def judge_prefix(self, task: Mapping[str, Any], prefix: str) -> str:
        """See the module. Returns '' or a failing status."""
        lines = prefix[: prefix.rfind("\n") + 1]
        if self._lang == "python" and _broken(lines):
            return str(Status.COMPILE_ERROR)
        head = _through_entry(lines, task["entry"])
        if head is None:
            return ""
        verdict = self._checker.check(self._check(task, head))
        return str(verdict.status) if verdict.status is Status.FAILED else ""

    @staticmethod
    def reward(status: str, steps: float, budget: float) -> float | None:
        """`verify.reward.reward` of a status."""
        return reward(Verdict(Status(status)), steps, budget)

    def close(self) -> None:
        self._checker.close()

    def _check(self, task: Mapping[str, Any], program: str) -> FunctionCheck:
        return FunctionCheck(program, task["entry"], self._cases_of(task), self._lang, LIMITS)

    def _cases_of(self, task: Mapping[str, Any]) -> tuple[Case, ...]:
        name = task["id"]
        if name not in self._cases:
            self._cases[name] = parse_cases(task.get("cases"), name)
        return self._cases[name]


def python() -> TaskVerifier:
    """Python programs in the sandbox."""
    return TaskVerifier("python")


def bend_hvm() -> TaskVerifier:
    """Bend programs on HVM."""
    return TaskVerifier("bend")


def _broken(lines: str) -> bool:
    """Do whole lines of Python break the grammar, whatever follows? Compiled, never run."""
    if len(lines) > _MAX_PARSED:
        return False
    try:
        compile(lines, "<prefix>", "exec", _INCOMPLETE | _DONT_IMPLY_DEDENT, dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return "incomplete input" not in str(error)
    except (MemoryError, RecursionError):
        return False
    return False


def _through_entry(lines: str, entry: str) -> str | None:
    """The text up to the first top-level line after the entry function, or None while it is open."""
    start = re.search(rf"^(?:async )?def {re.escape(entry)}\b.*\n", lines, re.MULTILINE)
    if start is None:
        return None
    after = re.compile(r"^[A-Za-z_@]", re.MULTILINE).search(lines, start.end())
    return None if after is None else lines[: after.start()]
