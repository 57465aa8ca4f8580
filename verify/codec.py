"""The strict codec: the only way a value passes between a candidate's process and anything else.

    encode([1, "a"])                    -> bytes         (in the process that has the value)
    parse(data)                         -> Node          (anywhere; checks every length, depth and type)
    canonical(parse(data))              -> bytes         (equal bytes <=> equal value and equal types)
    build(parse(data))                  -> the value     (only where a slow hash does no harm)

Exact types only: None, bool, int, float, complex, str, bytes, tuple, list, set, frozenset, dict, and
iterators (drained, and equal to a list). A subclass instance is refused, so no method that a candidate wrote
is ever called. `parse` makes plain tuples and never a set or a dict of untrusted members: comparing canonical
bytes needs no Python hash of theirs, so crafted collisions cost the judge nothing. Nothing here can run code,
unlike pickle. This module is also sent into sandboxes by itself, so it uses the standard library only.
"""

from __future__ import annotations

import itertools
import math
import struct
from typing import Any

MAX_DEPTH = 100
MAX_NODES = 2_000_000

Node = tuple[int, Any]

NONE, TRUE, FALSE, INT, FLOAT, COMPLEX, STR, BYTES = b"NTFidcsb"
LIST, TUPLE, SET, FROZENSET, DICT, ITERATOR = b"ltSZDg"

_SIZE = struct.Struct(">BI")
_DOUBLE = struct.Struct(">Bd")
_TWO_DOUBLES = struct.Struct(">Bdd")
_CONSTANTS = frozenset((NONE, TRUE, FALSE))
_FIXED = {FLOAT: _DOUBLE, COMPLEX: _TWO_DOUBLES}
_SIZED = frozenset((INT, STR, BYTES))
_SEQUENCES = {list: LIST, tuple: TUPLE, set: SET, frozenset: FROZENSET}
_HASHABLE = frozenset((NONE, TRUE, FALSE, INT, FLOAT, COMPLEX, STR, BYTES))
_TAGS = _HASHABLE | {LIST, TUPLE, SET, FROZENSET, DICT, ITERATOR}
_EMPTY: tuple[Any, ...] = ([], (), set(), {}, "", b"", range(0), range(2**70))
_VIEWS: tuple[Any, ...] = ({}.keys(), {}.values(), {}.items())


def _generator() -> Any:
    yield


_ITERATORS = frozenset(
    {
        *(type(_generator()), range, map, filter, zip, enumerate, reversed),
        *(type(iter(empty)) for empty in (*_EMPTY, *_VIEWS)),
        *map(type, _VIEWS),
        *(type(reversed([])), type(reversed({}))),
        *(kind for kind in vars(itertools).values() if isinstance(kind, type)),
    }
)


class CodecError(ValueError):
    """A value outside the supported types, or bytes that are no encoding of one."""


class TooLargeError(CodecError):
    """More than the limit of bytes, nodes or depth."""


def encode(value: Any, limit: int = 1 << 26) -> bytes:
    """Encode `value` in at most `limit` bytes. Raises CodecError, or TooLargeError at once when it grows too
    big.
    """
    parts: list[bytes] = []
    room = limit

    def put(part: bytes) -> None:
        nonlocal room
        room -= len(part)
        if room < 0:
            raise TooLargeError(f"larger than {limit} bytes when encoded")
        parts.append(part)

    def walk(item: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise TooLargeError(f"nested deeper than {MAX_DEPTH} (or a cycle)")
        kind: type = type(item)
        if type(kind) is not type:  # `kind in ...` below would call its __hash__
            raise CodecError("a value whose class has a metaclass is not supported")
        if kind is int:
            if item.bit_length() > limit * 8:
                raise TooLargeError(f"larger than {limit} bytes when encoded")
            raw = item.to_bytes(item.bit_length() // 8 + 1, "big", signed=True)
            put(_SIZE.pack(INT, len(raw)) + raw)
        elif kind is str:
            if len(item) > limit:
                raise TooLargeError(f"larger than {limit} bytes when encoded")
            raw = item.encode("utf-8", "surrogatepass")
            put(_SIZE.pack(STR, len(raw)) + raw)
        elif item is None:
            put(b"N")
        elif item is True:
            put(b"T")
        elif item is False:
            put(b"F")
        elif kind is float:
            put(_DOUBLE.pack(FLOAT, item))
        elif kind in _SEQUENCES:
            put(_SIZE.pack(_SEQUENCES[kind], len(item)))
            for member in item:
                walk(member, depth + 1)
        elif kind is dict:
            put(_SIZE.pack(DICT, len(item)))
            for key, member in item.items():
                walk(key, depth + 1)
                walk(member, depth + 1)
        elif kind is bytes:
            put(_SIZE.pack(BYTES, len(item)) + item)
        elif kind is complex:
            put(_TWO_DOUBLES.pack(COMPLEX, item.real, item.imag))
        elif kind in _ITERATORS:
            members = list(itertools.islice(iter(item), room + 1))
            if len(members) > room:
                raise TooLargeError(f"an iterator of more than {room} members")
            put(_SIZE.pack(ITERATOR, len(members)))
            for member in members:
                walk(member, depth + 1)
        else:
            raise CodecError(f"a value of type {type.__getattribute__(kind, '__name__')!r} is not supported")

    walk(value, 0)
    return b"".join(parts)


def parse(data: bytes) -> Node:
    """Decode untrusted bytes into a tree of (tag, content). Raises CodecError on anything that `encode`
    cannot make.
    """
    position = 0
    nodes = 0
    end = len(data)

    def walk(depth: int) -> Node:
        nonlocal nodes, position
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise TooLargeError("too deep or too many nodes")
        if position >= end:
            raise CodecError("cut short")
        tag = data[position]
        if tag in _CONSTANTS:
            position += 1
            return (tag, None)
        if tag not in _TAGS:
            raise CodecError("unknown tag")
        if tag in _FIXED:
            start, position = position, position + _FIXED[tag].size
            if position > end:
                raise CodecError("cut short")
            numbers = _FIXED[tag].unpack_from(data, start)
            return (tag, numbers[1] if tag == FLOAT else complex(numbers[1], numbers[2]))
        start = position + _SIZE.size
        if start > end:
            raise CodecError("cut short")
        count: int = _SIZE.unpack_from(data, position)[1]
        if count > end - start:
            raise CodecError("cut short")
        if tag in _SIZED:
            position = start + count
            raw = data[start:position]
            if tag == BYTES:
                return (tag, raw)
            if tag == STR:
                try:
                    return (tag, raw.decode("utf-8", "surrogatepass"))
                except UnicodeDecodeError:
                    raise CodecError("a str that is not UTF-8") from None
            number = int.from_bytes(raw, "big", signed=True)
            if count != number.bit_length() // 8 + 1:
                raise CodecError("an int that is not minimal")
            return (tag, number)
        position = start
        if tag == DICT:
            pairs = [(walk(depth + 1), walk(depth + 1)) for _ in range(count)]
            _require_distinct([key for key, _ in pairs])
            return (tag, pairs)
        members = [walk(depth + 1) for _ in range(count)]
        if tag in (SET, FROZENSET):
            _require_distinct(members)
        return (tag, members)

    node = walk(0)
    if position != end:
        raise CodecError("bytes after the value")
    return node


def _hashable(node: Node) -> bool:
    tag, content = node
    return tag in _HASHABLE or (tag in (TUPLE, FROZENSET) and all(map(_hashable, content)))


def _require_distinct(members: list[Node]) -> None:
    if all(tag == STR for tag, _ in members):
        if len(dict.fromkeys(text for _, text in members)) != len(members):
            raise CodecError("a repeated key or set member")
        return
    if not all(map(_hashable, members)):
        raise CodecError("an unhashable key or set member")
    if len({canonical(member) for member in members}) != len(members):
        raise CodecError("a repeated key or set member")


def canonical(node: Node) -> bytes:
    """Bytes that are equal exactly when two values are equal with equal types.

    One NaN for all, -0.0 is 0.0, dict and set order do not count, an iterator is the list of its members.
    """
    tag, content = node
    if tag == FLOAT:
        return _DOUBLE.pack(tag, _one_nan(content))
    if tag == COMPLEX:
        return _TWO_DOUBLES.pack(tag, _one_nan(content.real), _one_nan(content.imag))
    if tag in (NONE, TRUE, FALSE):
        return bytes((tag,))
    if tag == INT:
        return _sized(tag, content.to_bytes(content.bit_length() // 8 + 1, "big", signed=True))
    if tag == STR:
        return _sized(tag, content.encode("utf-8", "surrogatepass"))
    if tag == BYTES:
        return _sized(tag, content)
    if tag == DICT:
        members = sorted(canonical(key) + canonical(value) for key, value in content)
    else:
        members = [canonical(member) for member in content]
        if tag in (SET, FROZENSET):
            members.sort()
    return _SIZE.pack(LIST if tag == ITERATOR else tag, len(content)) + b"".join(members)


def emit(node: Node) -> bytes:
    """The encoding of a tree as it stands: `parse(emit(node)) == node`."""
    tag, content = node
    if tag == FLOAT:
        return _DOUBLE.pack(tag, content)
    if tag == COMPLEX:
        return _TWO_DOUBLES.pack(tag, content.real, content.imag)
    if tag in (NONE, TRUE, FALSE, INT, STR, BYTES):
        return canonical(node)
    if tag == DICT:
        members = [emit(key) + emit(value) for key, value in content]
    else:
        members = [emit(member) for member in content]
    return _SIZE.pack(tag, len(content)) + b"".join(members)


def _sized(tag: int, raw: bytes) -> bytes:
    return _SIZE.pack(tag, len(raw)) + raw


def _one_nan(number: float) -> float:
    return math.nan if number != number else number + 0.0


def build(node: Node) -> Any:
    """The Python value of a tree. Sets and dicts hash their members: keep it out of the judge's process."""
    tag, content = node
    if tag in (INT, FLOAT, COMPLEX, STR, BYTES):
        return content
    if tag == NONE:
        return None
    if tag in (TRUE, FALSE):
        return tag == TRUE
    if tag == DICT:
        return {build(key): build(value) for key, value in content}
    members = [build(member) for member in content]
    if tag == LIST:
        return members
    if tag == ITERATOR:
        return iter(members)
    return {TUPLE: tuple, SET: set, FROZENSET: frozenset}[tag](members)


def decode(data: bytes) -> Any:
    """`build(parse(data))`, for frames between our own processes and for a candidate's inputs."""
    return build(parse(data))
