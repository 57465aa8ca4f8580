"""The codec: round trips, canonical bytes as equality, and bytes that nobody's encoder made."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify import codec
from verify.codec import CodecError, TooLargeError
from verify.describe import describe

_KEYS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
VALUES = st.recursive(
    _KEYS | st.floats() | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.sets(_KEYS, max_size=4)
        | st.dictionaries(_KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


def canonical(value: Any) -> bytes:
    return codec.canonical(codec.parse(codec.encode(value)))


def same(left: Any, right: Any) -> bool:
    """Equality of value and type, written without the codec."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            any(same(key, other) and same(left[key], right[other]) for other in right) for key in left
        )
    if isinstance(left, set | frozenset):
        return len(left) == len(right) and all(any(same(a, b) for b in right) for a in left)
    return bool(left == right)


@given(VALUES)
def test_round_trip(value: Any) -> None:
    tree = codec.parse(codec.encode(value))
    assert same(codec.build(tree), value)
    assert codec.parse(codec.emit(tree)) == tree or canonical(value) == codec.canonical(
        codec.parse(codec.emit(tree))
    )
    assert len(describe(tree, 80)) <= 80


@given(VALUES, VALUES)
def test_canonical_bytes_are_typed_equality(left: Any, right: Any) -> None:
    assert (canonical(left) == canonical(right)) == same(left, right)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_parse_or_are_refused(data: bytes) -> None:
    try:
        tree = codec.parse(data)
    except CodecError:
        return
    assert codec.canonical(codec.parse(codec.emit(tree))) == codec.canonical(tree)


@given(VALUES, st.integers(0, 200), st.integers(0, 255))
def test_damaged_bytes_never_crash(value: Any, place: int, byte: int) -> None:
    data = bytearray(codec.encode(value))
    data[place % len(data)] = byte
    with contextlib.suppress(CodecError):
        codec.canonical(codec.parse(bytes(data)))


class _Int(int):
    def __eq__(self, other: object) -> bool:
        raise AssertionError("candidate code was called")

    __hash__ = None  # type: ignore[assignment]  # a hostile class


class _Meta(type):
    def __hash__(cls) -> int:
        raise AssertionError("candidate code was called")


class _Strange(metaclass=_Meta):
    pass


@pytest.mark.parametrize(
    "value", [_Int(3), [_Int(3)], _Strange(), object(), int, len, Ellipsis, bytearray(b"a"), {"a": _Int(1)}]
)
def test_other_types_are_refused_without_calling_them(value: Any) -> None:
    with pytest.raises(CodecError):
        codec.encode(value)


def test_iterators_are_lists_with_a_cap() -> None:
    import itertools

    for made in (
        (n for n in range(3)),
        range(3),
        map(int, "012"),
        iter([0, 1, 2]),
        {0: 1, 1: 1, 2: 1}.keys(),
    ):
        assert canonical(made) == canonical([0, 1, 2])
    with pytest.raises(TooLargeError):
        codec.encode(itertools.count(), limit=1_000)


def test_size_and_depth_have_caps() -> None:
    with pytest.raises(TooLargeError):
        codec.encode("x" * 1_001, limit=1_000)
    with pytest.raises(TooLargeError):
        codec.encode(1 << 100_000, limit=1_000)
    deep: list[Any] = []
    deep.append(deep)
    with pytest.raises(TooLargeError):
        codec.encode(deep)
    with pytest.raises(TooLargeError):
        codec.parse(b"l\0\0\0\1" * 200 + b"N")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"NN",
        b"i\0\0\0\2\0\1",  # not minimal
        b"s\0\0\0\1\xff",  # not UTF-8
        b"S\0\0\0\1l\0\0\0\0",  # an unhashable member
        b"S\0\0\0\2NN",  # a repeated member
        b"D\0\0\0\2NNNT",  # a repeated key
        b"l\xff\xff\xff\xff",
    ],
)
def test_bytes_that_no_encoder_makes_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        codec.parse(data)


def test_the_module_stands_alone() -> None:
    """Its text is sent into sandboxes where nothing of ours is."""
    source = Path(codec.__file__).read_text(encoding="utf-8")
    script = f"{source}\nassert decode(encode([1, {{'a': (None,)}}])) == [1, {{'a': (None,)}}]\n"
    subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True, timeout=60)
