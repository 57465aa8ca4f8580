"""The annotations of an entry point: names and types of its parameters, and the type of its result."""

from __future__ import annotations

from dataclasses import dataclass

from verify.bend.lexer import Token
from verify.bend.types import F24, I24, STRING, U24, BendType, ListOf, Tup
from verify.verdict import Status


class Turned(Exception):
    """The candidate was turned away: `status` says by whose fault, the message why."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: BendType


class Signature:
    """Reads `(x: T, y: U) -> V:` of the entry point."""

    def __init__(self, tokens: list[Token], entry: str) -> None:
        self.tokens = tokens
        self.at = 0
        self.entry = entry

    def parse(self) -> tuple[tuple[Parameter, ...], BendType]:
        parameters: list[Parameter] = []
        if self._take("("):
            while not self._take(")"):
                name = self._next()
                if not self._take(":"):
                    raise self._unsupported(f"parameter '{name}' has no annotation")
                parameters.append(Parameter(name, self._type()))
                self._take(",")
        if not self._take("->"):
            raise self._unsupported("the result has no annotation")
        result = self._type()
        if not self._take(":"):
            raise self._unsupported("its type is a function")
        return tuple(parameters), result

    def _type(self) -> BendType:
        text = self._next()
        match text:
            case "u24":
                return U24
            case "i24":
                return I24
            case "f24":
                return F24
            case "String":
                return STRING
            case "List" if self._take("("):
                item = self._type()
                self._expect(")")
                return ListOf(item)
            case "(":
                items = [self._type()]
                while self._take(","):
                    items.append(self._type())
                self._expect(")")
                return items[0] if len(items) == 1 else Tup(tuple(items))
        raise self._unsupported(f"type '{text}' does not cross between Python and Bend")

    def _next(self) -> str:
        if self.at >= len(self.tokens):
            raise Turned(Status.COMPILE_ERROR, f"the signature of '{self.entry}' is cut short")
        self.at += 1
        return self.tokens[self.at - 1].text

    def _take(self, text: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at].text == text:
            self.at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._unsupported("its annotation is not one of u24, i24, f24, String, List(T), (A, B)")

    def _unsupported(self, why: str) -> Turned:
        return Turned(Status.UNSUPPORTED, f"entry point '{self.entry}': {why}")
