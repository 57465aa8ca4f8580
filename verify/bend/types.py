"""The Bend types a check can carry, and the way values cross between Python and Bend.

A value enters a program as a literal and leaves it as the text of a result; both are directed by the type
that the entry point declares, so a `List(u24)` can never be mistaken for a `String`, nor a tuple for a
list.

| Bend type | Python value |
|---|---|
| `u24` | int in 0..2^24-1, or bool as 0/1 |
| `i24` | int in -2^23..2^23-1 |
| `f24` | float (about 16 bits of mantissa; results are printed with three decimals) |
| `String` | str |
| `List(T)` | list |
| `(A, B, ...)` | tuple |
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

U24_MAX = (1 << 24) - 1
I24_MIN = -(1 << 23)
I24_MAX = (1 << 23) - 1


@dataclass(frozen=True, slots=True)
class Num:
    """`u24`, `i24` or `f24`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Str:
    def __str__(self) -> str:
        return "String"


@dataclass(frozen=True, slots=True)
class ListOf:
    item: BendType

    def __str__(self) -> str:
        return f"List({self.item})"


@dataclass(frozen=True, slots=True)
class Tup:
    items: tuple[BendType, ...]

    def __str__(self) -> str:
        return "(" + ", ".join(str(item) for item in self.items) + ")"


BendType = Num | Str | ListOf | Tup

U24, I24, F24, STRING = Num("u24"), Num("i24"), Num("f24"), Str()


class NoBendValue(ValueError):
    """The Python value has no counterpart in Bend at all: the case is UNSUPPORTED, whoever wrote the
    candidate."""


class WrongType(ValueError):
    """The value exists in Bend, but not in the type that the candidate declared: the candidate's fault."""


def check_representable(value: Any) -> None:
    """Raise NoBendValue unless some Bend type holds `value`."""
    if value is None or isinstance(value, (set, frozenset, dict, bytes, complex)):
        raise NoBendValue(f"{type(value).__name__} has no Bend value")
    if isinstance(value, bool | float):
        return
    if isinstance(value, int):
        if not I24_MIN <= value <= U24_MAX:
            raise NoBendValue(f"{value} is outside 24 bits")
        return
    if isinstance(value, str):
        return
    if isinstance(value, list):
        kinds = {_kind(item) for item in value}
        if len(kinds) > 1:
            raise NoBendValue("a list of mixed types has no Bend type")
    elif not isinstance(value, tuple):
        raise NoBendValue(f"{type(value).__name__} has no Bend value")
    elif len(value) < 2:
        raise NoBendValue("a tuple of fewer than two items has no Bend type")
    for item in value:
        check_representable(item)


def _kind(value: Any) -> str:
    return "int" if isinstance(value, bool) else type(value).__name__


def encode(value: Any, typ: BendType) -> str:
    """The Bend literal of `value` at `typ`.

    Raises NoBendValue when no Bend type holds it, WrongType when `typ` does not.
    """
    check_representable(value)
    return _encode(value, typ)


def _encode(value: Any, typ: BendType) -> str:
    match typ:
        case Num("u24"):
            if isinstance(value, int) and 0 <= value <= U24_MAX:
                return str(int(value))
        case Num("i24"):
            if isinstance(value, int) and I24_MIN <= value <= I24_MAX:
                return f"{int(value):+d}"
        case Num("f24"):
            if isinstance(value, int | float) and not isinstance(value, bool):
                return _float_literal(float(value))
        case Str():
            if isinstance(value, str):
                return string_literal(value)
        case ListOf(item):
            if isinstance(value, list):
                return "[" + ", ".join(_encode(part, item) for part in value) + "]"
        case Tup(items):
            if isinstance(value, tuple) and len(value) == len(items):
                return "(" + ", ".join(_encode(p, t) for p, t in zip(value, items, strict=True)) + ")"
    raise WrongType(f"{_short(value)} does not fit {typ}")


def _float_literal(value: float) -> str:
    if not math.isfinite(value) or abs(value) >= 2**31:
        raise NoBendValue(f"{value!r} has no f24 literal")
    whole, fraction = divmod(round(abs(value) * 10**6), 10**6)
    return f"{'-' if math.copysign(1.0, value) < 0 else '+'}{whole}.{fraction:06d}"


def string_literal(text: str) -> str:
    """A Bend string literal in printable ASCII."""
    out = []
    for char in text:
        if char in '"\\' or not 32 <= ord(char) < 127:
            if 0xD800 <= ord(char) <= 0xDFFF:
                raise NoBendValue("a lone surrogate has no Bend character")
            out.append(f"\\u{{{ord(char):x}}}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def f24(value: float) -> float:
    """`value` rounded to the nearest f24 (the upper 24 bits of an IEEE single, ties to even)."""
    if not math.isfinite(value):
        return value
    try:
        bits = struct.unpack("<I", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    low = bits & 0xFF
    bits >>= 8
    if low > 0x80 or (low == 0x80 and bits & 1):
        bits += 1
    return float(struct.unpack("<f", struct.pack("<I", (bits << 8) & 0xFFFFFFFF))[0])


def infer(value: Any) -> BendType:
    """The narrowest Bend type of a Python value: `u24` for a non-negative int or a bool, `i24` for a
    negative one.

    Raises NoBendValue. An empty list is a `List(u24)`.
    """
    check_representable(value)
    if isinstance(value, bool):
        return U24
    if isinstance(value, int):
        return U24 if value >= 0 else I24
    if isinstance(value, float):
        return F24
    if isinstance(value, str):
        return STRING
    if isinstance(value, tuple):
        return Tup(tuple(infer(item) for item in value))
    kinds = [infer(item) for item in value]
    item = kinds[0] if kinds else U24
    for other in kinds[1:]:
        item = join(item, other)
    return ListOf(item)


def join(a: BendType, b: BendType) -> BendType:
    """The type that holds values of both, where `u24` and `i24` meet in `i24`. Raises NoBendValue."""
    if a == b:
        return a
    match a, b:
        case (Num("u24"), Num("i24")) | (Num("i24"), Num("u24")):
            return I24
        case ListOf(x), ListOf(y):
            return ListOf(join(x, y))
        case Tup(xs), Tup(ys) if len(xs) == len(ys):
            return Tup(tuple(join(x, y) for x, y in zip(xs, ys, strict=True)))
    raise NoBendValue(f"{a} and {b} have no common Bend type")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
