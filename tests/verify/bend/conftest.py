"""Skips what needs `bend` and `hvm` (marker `bend`) where `verify install bend` has not run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from verify.bend import close
from verify.bend.toolchain import Unavailable, toolchain, worker


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("bend") is None:
        return
    try:
        toolchain()
        worker()
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True, scope="session")
def _workers() -> Iterator[None]:
    yield
    close()
