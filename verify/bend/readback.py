"""Strict reading of a printed result, directed by its declared type.

Accepts exactly what Bend prints for numbers, lists, tuples and strings, including the eta-reduced forms
`λx (x List/Nil/tag)` and `λx (x List/Cons/tag head tail)` that appear inside tuples. Anything else is
BadOutput: a function, an erased value `*`, a constructor of the candidate, a stuck term.
"""

from __future__ import annotations

import re
from typing import Any

from verify.bend.types import I24_MAX, I24_MIN, U24_MAX, BendType, ListOf, Num, Str, Tup

_U24 = re.compile(r"[0-9]{1,8}(?![0-9.])")
_I24 = re.compile(r"[+-][0-9]{1,7}(?![0-9.])")
_F24 = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?|inf)|NaN")
_NAME = r"[A-Za-z0-9_.%]+"
_NIL = re.compile(rf"λ({_NAME}) \(\1 (List|String)/Nil/tag\)")
_CONS = re.compile(rf"λ({_NAME}) \(\1 (List|String)/Cons/tag ")
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-f]{1,6})\}|([nrt0\\\"']))")
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}


class BadOutput(ValueError):
    """The text is not a value of the declared type."""


def read(text: str, typ: BendType) -> Any:
    """The Python value of `text` at `typ`. Raises BadOutput."""
    reader = _Reader(text)
    value = reader.value(typ)
    if reader.at != len(text):
        raise BadOutput(f"trailing text after the result: {text[reader.at : reader.at + 40]!r}")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def value(self, typ: BendType) -> Any:
        match typ:
            case Num(name):
                return self._number(name)
            case Str():
                return self._string()
            case ListOf(item):
                return self._list(item)
            case Tup(items):
                return self._tuple(items)

    def _number(self, name: str) -> int | float:
        pattern = {"u24": _U24, "i24": _I24, "f24": _F24}[name]
        found = pattern.match(self.text, self.at)
        if found is None:
            raise self._bad(name)
        self.at = found.end()
        if name == "f24":
            return float(found.group())
        value = int(found.group())
        if not (0 <= value <= U24_MAX if name == "u24" else I24_MIN <= value <= I24_MAX):
            raise self._bad(name)
        return value

    def _list(self, item: BendType) -> list[Any]:
        out: list[Any] = []
        closing = 0
        while True:
            if self._nil("List"):
                break
            if self._cons("List"):
                out.append(self.value(item))
                self._expect(" ")
                closing += 1
                continue
            self._expect("[")
            if not self._take("]"):
                out.append(self.value(item))
                while self._take(", "):
                    out.append(self.value(item))
                self._expect("]")
            break
        self._expect(")" * closing)
        return out

    def _string(self) -> str:
        out: list[str] = []
        closing = 0
        while True:
            if self._nil("String"):
                break
            if self._cons("String"):
                out.append(_char(int(self._number("u24"))))
                self._expect(" ")
                closing += 1
                continue
            out.append(self._quoted())
            break
        self._expect(")" * closing)
        return "".join(out)

    def _quoted(self) -> str:
        self._expect('"')
        out: list[str] = []
        while not self._take('"'):
            if self.at >= len(self.text):
                raise self._bad("String")
            if self.text[self.at] != "\\":
                out.append(self.text[self.at])
                self.at += 1
                continue
            found = _ESCAPE.match(self.text, self.at)
            if found is None:
                raise self._bad("String")
            simple = found.group(2)
            out.append(_SIMPLE.get(simple, simple) if simple else _char(int(found.group(1), 16)))
            self.at = found.end()
        return "".join(out)

    def _tuple(self, items: tuple[BendType, ...]) -> tuple[Any, ...]:
        """Bend prints tuples nested to the right: `(a, (b, c))` is the triple."""
        out: list[Any] = []
        for typ in items[:-1]:
            self._expect("(")
            out.append(self.value(typ))
            self._expect(", ")
        out.append(self.value(items[-1]))
        self._expect(")" * (len(items) - 1))
        return tuple(out)

    def _nil(self, kind: str) -> bool:
        found = _NIL.match(self.text, self.at)
        if found is None or found.group(2) != kind:
            return False
        self.at = found.end()
        return True

    def _cons(self, kind: str) -> bool:
        found = _CONS.match(self.text, self.at)
        if found is None or found.group(2) != kind:
            return False
        self.at = found.end()
        return True

    def _take(self, text: str) -> bool:
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def _expect(self, text: str) -> None:
        if text and not self._take(text):
            raise self._bad(repr(text))

    def _bad(self, wanted: str) -> BadOutput:
        seen = self.text[self.at : self.at + 40]
        return BadOutput(f"expected {wanted} at character {self.at} of the result, found {seen!r}")


def _char(code: int) -> str:
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\N{REPLACEMENT CHARACTER}"
    return chr(code)
