"""What is done once before the first fork, so that no check pays for it.

A child shares its template's memory until one of the two writes to it: then the kernel copies that page, in
every check anew. Two kinds of writes can be spared. `warm_up` has CPython do what it does once and keeps:
attributes looked up, bytecode specialised, the compiler's tables. `fill_holes` leaves no gaps between the
template's objects, so that what a child makes lies on few pages of its own. Both happen before any job is
known, and nothing of them is left but what the interpreter remembers.
"""

from __future__ import annotations

import _socket
import linecache
import marshal
import os
import sys

from verify.inside.confine import CTL
from verify.inside.harness import FILENAME, NONCE, run_candidate
from verify.inside.wire import HEADER

TURNS = 10  # CPython 3.11 specialises a function at its eighth call
PROGRAM = '''
import math
from collections import Counter, defaultdict
from typing import Any, Dict, List, Optional, Tuple


class Pair:
    def __init__(self, left: int, right: int) -> None:
        self.left = left
        self.right = right

    def total(self) -> int:
        return self.left + self.right


def warm(numbers: List[float], words: Optional[str] = None, *, fail: bool = False) -> List[Tuple[Any, ...]]:
    """ A line, and an example.
    >>> warm([1.0])
    """
    if fail:
        raise ValueError(f"{numbers!r} and {words}")
    counts: Dict[str, int] = defaultdict(int)
    for index, number in enumerate(sorted(numbers, reverse=True)):
        for other, _ in zip(numbers, range(index)):
            if abs(number - other) < 0.5 and number != other or not index % 2:
                counts[str(index)] += 1
    for letter in (words or "").lower().strip().split(" "):
        counts[letter[::-1].replace("a", "b")] = len(letter)
    squares = [int(n) ** 2 // 3 for n in numbers if n > 0]
    seen = {n for n in squares} | set(map(abs, squares))
    best = max(squares, default=0, key=lambda n: -n)
    pair = Pair(best, sum(squares))
    while best > 100:
        best -= 1
        if best in seen:
            break
    return [(pair.total(), True, None, math.floor(2.5), Counter(squares).get(1), "".join(sorted(counts)))]
'''
INPUTS: tuple[tuple[list[float], str | None, bool], ...] = (
    ([1.0, 2.5, 3.9], "A b", False),
    ([], None, False),
    ([2.0], "", True),
)
SMALL = 512  # bytes: larger objects come from malloc
POOL = 1 << 14  # CPython's small objects of one size lie in pools of this size, from byte 48 on
SIZES = (65_536, 32_768, 16_384, 8_192, 4_096, 3_072, 2_048, 1_536, 1_024, 768, 640, 576, 528)
PIECES = 2_000  # of one size at most: where an allocator works differently, little is lost


def warm_up() -> None:
    """Take `PROGRAM` through `run_candidate`. To be called while nobody else has `CTL`."""
    kept = os.dup(CTL)
    for _ in range(TURNS):
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        os.dup2(theirs.fileno(), CTL)
        theirs.close()
        for numbers, words, fail in INPUTS:
            frame = bytes(NONCE + 1) + marshal.dumps(((numbers, words), {"fail": fail}), 2)
            ours.send(HEADER.pack(len(frame)) + frame)
        ours.shutdown(_socket.SHUT_WR)
        limits = {"out_bytes": 1 << 16}
        job = {"code": PROGRAM, "entry": "warm", "seed": 0, "nonce": bytes(NONCE), "limits": limits}
        run_candidate(marshal.loads(marshal.dumps(job)))
        ours.close()
    os.dup2(kept, CTL)
    os.close(kept)
    del sys.modules["candidate"], linecache.cache[FILENAME]


def fill_holes() -> list[object]:
    """Objects in the gaps of the allocators' pages, to be kept for as long as children are forked.

    Of each size as many as it takes until a few lie side by side at the start of a new pool, or on new heap.
    """
    kept: list[object] = []
    for size in range(16, SMALL + 1, 16):
        row, last = 0, 0
        for number in range(PIECES):
            piece = _piece(size, number)
            kept.append(piece)
            row = row + 1 if id(piece) == last + size else int(id(piece) % POOL == 48)
            last = id(piece)
            if row > 8:
                break
    for size in SIZES:
        row, last = 0, 0
        for number in range(PIECES):
            piece = _piece(size, number)
            kept.append(piece)
            row = row + 1 if 0 < id(piece) - last < size + 80 else 0
            last = id(piece)
            if row > 4:
                break
    return kept


def _piece(size: int, number: int) -> object:
    """An object of that many bytes, of its own and unknown to the garbage collector."""
    return object() if size == 16 else number + 0.5 if size == 32 else bytes(size - sys.getsizeof(b""))
