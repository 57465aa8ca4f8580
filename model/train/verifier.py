"""The judge of on-policy learning, as training sees it. `model` imports nothing of ours, so a judge comes in
through the entry point group `trihead.verifiers`: name -> a function without arguments that opens one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from model.distribution import entry_points
from model.errors import ModelError
from model.train.reading import ConfigError

GROUP = "trihead.verifiers"
Task = dict[str, Any]
"""A row of a task file: id, entry, stub and cases; other keys are left alone."""


class VerifierUnavailable(ModelError):
    """The judge's sandbox or toolchain does not work here."""

    exit_code = 5


class Verifier(Protocol):
    """fence: the language of its programs, as a Markdown fence names it."""

    fence: str

    def unavailable(self) -> str:
        """Why it cannot judge here and what to do, or ''."""
        ...

    def problem(self, task: Task) -> str:
        """What is wrong with a task, or ''."""
        ...

    def judge(self, task: Task, programs: Sequence[str]) -> list[str]:
        """The status of each program, one of `verify`'s."""
        ...

    def judge_prefix(self, task: Task, prefix: str) -> str:
        """A failing status when no continuation is expected to mend this beginning of a program, else ''."""
        ...

    def reward(self, status: str, steps: float, budget: float) -> float | None:
        """Reward of an attempt; None: it says nothing about the candidate."""
        ...

    def close(self) -> None: ...


def installed(name: str) -> Verifier:
    """The named judge, whether it works here or not. Raises ConfigError for a name that is not installed."""
    known = {point.name: point for point in entry_points(GROUP)}
    if name not in known:
        names = ", ".join(sorted(known)) or "none; install trihead again"
        raise ConfigError(f"seed_diffusion.verifier: {name!r} is not installed (there are: {names})")
    verifier: Verifier = known[name].load()()
    return verifier


def open_verifier(name: str) -> Verifier:
    """A judge that works here. Raises ConfigError, VerifierUnavailable."""
    verifier = installed(name)
    if why := verifier.unavailable():
        verifier.close()
        raise VerifierUnavailable(f"verifier {name} cannot judge here: {why}")
    return verifier
