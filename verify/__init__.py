"""Verdicts: does this program do what its tests say?

    from verify import Case, FunctionCheck, open_checker

    with open_checker() as checker:
        verdict = checker.check(FunctionCheck(code="def f(x): return x + 1", entry="f", cases=(Case((1,),
        expected=2),)))

Importing this package imports nothing else: the names below load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.checker import Checker, ExecResult, open_checker
    from verify.limits import Limits
    from verify.request import (
        Case,
        CheckRequest,
        CommandCheck,
        FunctionCheck,
        ProgramCase,
        ProgramCheck,
        TestSourceCheck,
    )
    from verify.verdict import Status, Verdict

_HOMES = {
    "verify.checker": ("Checker", "ExecResult", "open_checker"),
    "verify.limits": ("Limits",),
    "verify.request": (
        "Case",
        "CheckRequest",
        "CommandCheck",
        "FunctionCheck",
        "ProgramCase",
        "ProgramCheck",
        "TestSourceCheck",
    ),
    "verify.verdict": ("Status", "Verdict"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Case",
    "CheckRequest",
    "Checker",
    "CommandCheck",
    "ExecResult",
    "FunctionCheck",
    "Limits",
    "ProgramCase",
    "ProgramCheck",
    "Status",
    "TestSourceCheck",
    "Verdict",
    "open_checker",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'verify' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
