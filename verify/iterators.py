"""The types of iterator that the codec drains. Also sent into the sandbox: the standard library only."""

from __future__ import annotations

import itertools
from typing import Any


def _generator() -> Any:
    yield


_EMPTY: tuple[Any, ...] = (
    [],
    (),
    set(),
    {},
    "",
    b"",
    range(0),
    range(2**70),
    {}.keys(),
    {}.values(),
    {}.items(),
)
ITERATORS = frozenset(
    {
        type(_generator()),
        range,
        map,
        filter,
        zip,
        enumerate,
        reversed,
        *(type(iter(empty)) for empty in _EMPTY),
        *map(type, _EMPTY[8:]),
        type(reversed([])),
        type(reversed({})),
        *(kind for kind in vars(itertools).values() if isinstance(kind, type)),
    }
)
