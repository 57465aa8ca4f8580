"""Compares what came back with what was expected, in a process that never ran candidate code.

Both sides are codec trees (`verify.codec.Node`): exact comparison is equality of canonical bytes, so no
`__eq__` and no hash of an untrusted value is ever used here.
"""

from __future__ import annotations

import math
from collections import Counter

from verify import codec
from verify.codec import Node
from verify.describe import TYPE_NAMES, describe
from verify.request import Case

DEFAULT_TOLERANCE = 1e-6
MAX_PAIRS = 4_000_000  # comparisons for an unordered match with tolerance

_NUMBERS = frozenset((codec.INT, codec.FLOAT, codec.COMPLEX))
_ORDERED = frozenset((codec.LIST, codec.TUPLE))
_SETS = frozenset((codec.SET, codec.FROZENSET))


def matches(case: Case, output: Node, expected: Node) -> bool:
    """Whether `output` is right for `case` (not for `oracle`, which runs in a sandbox of its own)."""
    if case.compare == "unordered":
        return unordered(output, expected, case.tolerance)
    if case.compare == "close" or case.tolerance is not None:
        return close(output, expected, DEFAULT_TOLERANCE if case.tolerance is None else case.tolerance)
    return codec.canonical(output) == codec.canonical(expected)


def close(output: Node, expected: Node, tolerance: float) -> bool:
    """Equal in shape and type, numbers within an absolute and relative tolerance; int, float, complex may
    mix.
    """
    tag, content = _plain(output)
    wanted_tag, wanted = _plain(expected)
    if tag in _NUMBERS and wanted_tag in _NUMBERS:
        return _near(content, wanted, tolerance)
    if tag != wanted_tag:
        return False
    if tag in _ORDERED:
        return len(content) == len(wanted) and all(
            close(*pair, tolerance) for pair in zip(content, wanted, strict=True)
        )
    if tag in _SETS:
        return _pair_up(content, wanted, tolerance)
    if tag == codec.DICT:
        if len(content) != len(wanted):
            return False
        values = {codec.canonical(key): value for key, value in content}
        return all(
            (value := values.get(codec.canonical(key))) is not None and close(value, right, tolerance)
            for key, right in wanted
        )
    return codec.canonical(output) == codec.canonical(expected)


def unordered(output: Node, expected: Node, tolerance: float | None = None) -> bool:
    """The same elements as often, in any order, at the outermost level. List, tuple, set and iterator stay
    apart.
    """
    tag, content = _plain(output)
    wanted_tag, wanted = _plain(expected)
    if tag != wanted_tag or tag not in _ORDERED | _SETS or len(content) != len(wanted):
        return codec.canonical(output) == codec.canonical(expected)
    if Counter(map(codec.canonical, content)) == Counter(map(codec.canonical, wanted)):
        return True
    return tolerance is not None and _pair_up(content, wanted, tolerance)


def _plain(node: Node) -> Node:
    return (codec.LIST, node[1]) if node[0] == codec.ITERATOR else node


def _near(left: complex, right: complex, tolerance: float) -> bool:
    if isinstance(left, complex) or isinstance(right, complex):
        left, right = complex(left), complex(right)
        return _near(left.real, right.real, tolerance) and _near(left.imag, right.imag, tolerance)
    if left == right or (left != left and right != right):
        return True
    try:
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # an int beyond the floats
        return False


def _pair_up(content: list[Node], wanted: list[Node], tolerance: float) -> bool:
    """A one-to-one match within the tolerance: bipartite, so a greedy wrong first choice does no harm."""
    if len(content) != len(wanted):
        return False
    if len(content) * len(wanted) > MAX_PAIRS:
        return False
    candidates = [
        [index for index, right in enumerate(wanted) if close(left, right, tolerance)] for left in content
    ]
    owner: dict[int, int] = {}
    for start in range(len(content)):
        path: list[tuple[int, int]] = []
        if not _augment(start, candidates, owner, set(), path):
            return False
        owner.update({right: left for left, right in path})
    return True


def _augment(
    start: int,
    candidates: list[list[int]],
    owner: dict[int, int],
    seen: set[int],
    path: list[tuple[int, int]],
) -> bool:
    """One augmenting path of bipartite matching, iteratively; `path` gets the new (left, right) pairs."""
    came_from: dict[int, int] = {}
    queue = [start]
    for left in queue:
        for right in candidates[left]:
            if right in seen:
                continue
            seen.add(right)
            came_from[right] = left
            if right not in owner:
                while True:
                    left = came_from[right]
                    path.append((left, right))
                    if left == start:
                        return True
                    right = next(r for r, o in owner.items() if o == left)
            queue.append(owner[right])
    return False


def mismatch(output: Node, expected: Node) -> str:
    """One short line on what came back, with a hint where the type differs. The expected value stays out."""
    hint = ""
    tag, wanted = _plain(output)[0], _plain(expected)[0]
    if TYPE_NAMES[tag] != TYPE_NAMES[wanted]:
        hint = f" (a {TYPE_NAMES[tag]} where a {TYPE_NAMES[wanted]} is wanted)"
    return f"got {describe(output)}{hint}"
