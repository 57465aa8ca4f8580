"""A checker a backend, shared by the module that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from verify.checker import Checker, open_checker

BACKENDS = (
    "bubblewrap",
    pytest.param("docker", marks=pytest.mark.docker),
    "subprocess",
)


@pytest.fixture(scope="module", params=BACKENDS)
def any_checker(request: pytest.FixtureRequest) -> Iterator[Checker]:
    """Each backend in turn; skipped, with the reason, where it does not work."""
    with open_checker(request.param, jobs=2, unsafe=request.param == "subprocess") as checker:
        if checker.sandbox is None:
            pytest.skip(checker.probe.why)
        yield checker


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    """The default sandbox. Not skipped: without bubblewrap the project is not tested."""
    with open_checker("bubblewrap", jobs=2) as checker:
        assert checker.sandbox is not None, checker.probe.why
        yield checker
