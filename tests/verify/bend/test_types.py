from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.bend.readback import BadOutput, read
from verify.bend.types import (
    F24,
    I24,
    STRING,
    U24,
    BendType,
    ListOf,
    NoBendValue,
    Str,
    Tup,
    WrongType,
    check_representable,
    encode,
    f24,
    infer,
)

u24 = st.integers(0, 2**24 - 1)
i24 = st.integers(-(2**23), 2**23 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]))


def typed() -> st.SearchStrategy[tuple[BendType, Any]]:
    """A type and a value of it."""
    base = st.one_of(
        st.tuples(st.just(U24), u24), st.tuples(st.just(I24), i24), st.tuples(st.just(STRING), text)
    )

    def grow(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        pairs = st.lists(inner, min_size=2, max_size=3).map(
            lambda parts: (Tup(tuple(t for t, _ in parts)), tuple(v for _, v in parts))
        )
        lists = st.tuples(inner, st.integers(0, 3)).map(lambda p: (ListOf(p[0][0]), [p[0][1]] * p[1]))
        return st.one_of(pairs, lists)

    return st.recursive(base, grow, max_leaves=6)


def printed(value: Any, typ: BendType) -> str:
    """As the worker prints it."""
    if isinstance(typ, ListOf):
        return "[" + ", ".join(printed(v, typ.item) for v in value) + "]"
    if isinstance(typ, Tup):
        parts = [printed(v, t) for v, t in zip(value, typ.items, strict=True)]
        return "".join(f"({part}, " for part in parts[:-1]) + parts[-1] + ")" * (len(parts) - 1)
    if isinstance(typ, Str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value:+d}" if typ == I24 else str(value)


@given(typed())
def test_reads_what_is_printed(pair: tuple[BendType, Any]) -> None:
    typ, value = pair
    assert read(printed(value, typ), typ) == value


@given(typed())
def test_encodes_every_value_of_a_type(pair: tuple[BendType, Any]) -> None:
    typ, value = pair
    literal = encode(value, typ)
    assert literal.isascii()
    assert "\n" not in literal


@given(typed(), st.text(max_size=3))
def test_trailing_text_is_never_accepted(pair: tuple[BendType, Any], extra: str) -> None:
    typ, value = pair
    if extra:
        with pytest.raises(BadOutput):
            read(printed(value, typ) + "|" + extra, typ)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {1},
        {},
        b"x",
        2**24,
        -(2**23) - 1,
        [1, "a"],
        [1, None],
        (),
        (1,),
        object(),
        1j,
        [[2**30]],
        [True, "x"],
    ],
)
def test_values_without_a_bend_type(value: Any) -> None:
    with pytest.raises(NoBendValue):
        check_representable(value)


@pytest.mark.parametrize(
    ("value", "typ"),
    [
        (-1, U24),
        (2**23, I24),
        ("a", U24),
        (1, STRING),
        ([1], U24),
        ((1, 2), ListOf(U24)),
        ([1, 2], Tup((U24, U24))),
    ],
)
def test_values_of_another_type(value: Any, typ: BendType) -> None:
    with pytest.raises(WrongType):
        encode(value, typ)


def test_bools_are_numbers_and_floats_are_not() -> None:
    assert encode(True, U24) == "1"
    assert encode(1.5, F24) == "+1.500000"
    assert encode(-0.0, F24) == "-0.000000"
    with pytest.raises(WrongType):
        encode(True, F24)
    with pytest.raises(WrongType):
        encode(1.0, U24)


@pytest.mark.parametrize(
    ("text_", "typ", "value"),
    [
        (
            "(λa (a String/Nil/tag), (λb (b List/Nil/tag), -0.000))",
            Tup((STRING, ListOf(U24), F24)),
            ("", [], -0.0),
        ),
        ("λa (a List/Cons/tag 1 λb (b List/Nil/tag))", ListOf(U24), [1]),
        ("λa (a List/Cons/tag 1 [2, 3])", ListOf(U24), [1, 2, 3]),
        ('"a\\u{301}\\n\\\\"', STRING, "a\u0301\n\\"),
        ("[1e16, inf, -inf]", ListOf(F24), [1e16, float("inf"), float("-inf")]),
    ],
)
def test_bends_other_ways_of_printing(text_: str, typ: BendType, value: Any) -> None:
    assert read(text_, typ) == value


@pytest.mark.parametrize(
    ("text_", "typ"),
    [
        ("*", U24),
        ("λa a", U24),
        ("16777216", U24),
        ("1.0", U24),
        ("1.", F24),
        ("1e", F24),
        ("infinity", F24),
        ("1", I24),
        ("+8388608", I24),
        ("[1, 2", ListOf(U24)),
        ("[1,2]", ListOf(U24)),
        ("λa (b List/Nil/tag)", ListOf(U24)),
        ("λa (a String/Nil/tag)", ListOf(U24)),
        ('"a', STRING),
        ('"\\x41"', STRING),
        ("(1, 2)", ListOf(U24)),
        ("(1, 2, 3)", Tup((U24, U24, U24))),
        ("", U24),
        ("unreachable", U24),
    ],
)
def test_anything_else_is_bad_output(text_: str, typ: BendType) -> None:
    with pytest.raises(BadOutput):
        read(text_, typ)


def test_f24_rounds_to_sixteen_bits() -> None:
    assert f24(16777217.0) == 16777216.0
    assert f24(0.5) == 0.5
    assert f24(1e300) == float("inf")


@given(typed())
def test_inferred_types_hold_their_value(pair: tuple[BendType, Any]) -> None:
    value = pair[1]
    encode(value, infer(value))
