"""The contract of `verify.self_check` on every backend that works here."""

from __future__ import annotations

import pytest

from verify.checker import Checker
from verify.self_check import CHECKS, EXCUSED


@pytest.mark.parametrize("name", CHECKS)
def test_contract(any_checker: Checker, name: str) -> None:
    if reason := EXCUSED.get((any_checker.probe.name, name)):
        pytest.skip(reason)
    CHECKS[name](any_checker)
