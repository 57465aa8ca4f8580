"""What can be checked: function cases, test source, a program's stdout, or a test command in a workspace.

Expected values live in the request and never travel into the candidate's process: the judge sends inputs,
decodes outputs and compares outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from verify.limits import Limits

Lang = Literal["python", "bend"]
Compare = Literal["exact", "close", "unordered", "oracle"]

DEFAULT_LIMITS = Limits()
COMMAND_LIMITS = Limits(wall_s=60.0, cpu_s=60.0, mem_mb=2048, disk_mb=256, processes=64)


@dataclass(frozen=True, slots=True)
class Case:
    """One call of the entry point.

    expected: the value that must come back. raises: the exception class name that must be raised instead.
    tolerance: absolute and relative float tolerance, applied inside containers. compare: `exact` (a tuple is
    not a list, True is not 1, NaN equals NaN), `close` (with tolerance), `unordered` (multisets of elements),
    or `oracle` (`oracle` is Python source defining `accept(args, output) -> bool`, run in a sandbox of its
    own, never beside the candidate). mutates: when True the value judged is the tuple of arguments after the
    call.
    """

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    expected: Any = None
    raises: str | None = None
    tolerance: float | None = None
    compare: Compare = "exact"
    oracle: str | None = None
    mutates: bool = False
    id: str = ""


@dataclass(frozen=True, slots=True)
class FunctionCheck:
    """Call `entry` of `code` on each case's arguments."""

    code: str
    entry: str
    cases: tuple[Case, ...]
    lang: Lang = "python"
    limits: Limits = DEFAULT_LIMITS
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TestSourceCheck:
    """Run trusted test source (HumanEval's `check(candidate)`) against `entry` of `code`.

    `prelude` (trusted, e.g. the prompt with its helper functions) and then `test` run in a driver process of
    their own, where `entry` and `candidate` are a proxy that calls the candidate in another process through
    the codec. The candidate never sees the test and the driver never runs candidate code.
    """

    code: str
    entry: str
    test: str
    prelude: str = ""
    limits: Limits = DEFAULT_LIMITS
    seed: int = 0
    lang: Lang = "python"

    __test__ = False  # pytest: this is no test class


@dataclass(frozen=True, slots=True)
class ProgramCase:
    stdin: str = ""
    stdout: str = ""
    argv: tuple[str, ...] = ()
    exit_code: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class ProgramCheck:
    """Run `files[main]` as a script once a case; stdout is compared after stripping trailing whitespace of
    each line.
    """

    files: dict[str, str]
    main: str
    cases: tuple[ProgramCase, ...]
    lang: Lang = "python"
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """Run a test command (pytest, unittest, any argv) in a private copy of `workspace`.

    The command's exit code is produced beside the candidate, so this kind trusts the tests' process: a
    hostile candidate can make its own tests pass. Use it for a person's own project, never as the only reward
    of training. `protected` are paths (relative) that are taken from `pristine` instead of the workspace, so
    that a candidate cannot edit its tests.
    """

    workspace: Path
    argv: tuple[str, ...]
    protected: tuple[str, ...] = ()
    pristine: Path | None = None
    limits: Limits = COMMAND_LIMITS


CheckRequest = FunctionCheck | TestSourceCheck | ProgramCheck | CommandCheck
