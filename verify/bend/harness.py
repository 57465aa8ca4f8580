"""The program that is run: the admitted candidate, our `main`, and functions that force its results.

`main` returns the raw results of the calls; they are compared in Python, so a program never holds what it is
judged by. Every result passes through a forcing function of the declared type: HVM leaves references to
constant definitions unexpanded otherwise, and a value that is not of its type (from unchecked code) gets
stuck here instead of reaching the parser in disguise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verify.bend.gate import HARNESS, Candidate
from verify.bend.types import BendType, ListOf, NoBendValue, Num, Str, Tup, WrongType, encode
from verify.request import Case

CHUNK = 8


class UnusableCase(ValueError):
    """A case that Bend cannot express (`unsupported`) or that the candidate's signature does not accept."""

    def __init__(self, message: str, *, unsupported: bool) -> None:
        super().__init__(message)
        self.unsupported = unsupported


@dataclass(frozen=True, slots=True)
class Program:
    """Bend source and the type of what `main` returns. `chunked`: results come as lists of CHUNK results."""

    source: str
    result: BendType
    chunked: bool


def build(candidate: Candidate, cases: Sequence[Case]) -> Program:
    """The program that calls the entry point on every case. Raises UnusableCase."""
    forces = Forces()
    force = forces.name(candidate.result)
    calls = [f"{force}({_call(candidate, case, at)})" for at, case in enumerate(cases)]
    chunked = len(calls) > 2 * CHUNK
    results: BendType = ListOf(candidate.result)
    if chunked:
        rows = [", ".join(calls[at : at + CHUNK]) for at in range(0, len(calls), CHUNK)]
        body, results = "[" + ",\n    ".join(f"[{row}]" for row in rows) + "]", ListOf(results)
    else:
        body = "[" + ",\n    ".join(calls) + "]"
    main = f"def main() -> {results}:\n  return {body}\n"
    return Program(f"{candidate.source}\n{forces.source()}\n{main}", results, chunked)


def case_label(case: Case, at: int) -> str:
    return f"case {case.id}" if case.id else f"case {at}"


def _call(candidate: Candidate, case: Case, at: int) -> str:
    label = case_label(case, at)
    if case.raises is not None:
        raise UnusableCase(f"{label}: Bend has no exceptions", unsupported=True)
    if case.mutates:
        raise UnusableCase(f"{label}: Bend has no mutation", unsupported=True)
    if case.oracle is not None or case.compare == "oracle":
        raise UnusableCase(f"{label}: oracles are not supported for Bend", unsupported=True)
    arguments = list(case.args)
    for parameter in candidate.parameters[len(arguments) :]:
        if parameter.name in case.kwargs:
            arguments.append(case.kwargs[parameter.name])
    if len(arguments) != len(candidate.parameters) or len(case.kwargs) > len(candidate.parameters) - len(
        case.args
    ):
        raise UnusableCase(
            f"{label}: {len(case.args) + len(case.kwargs)} arguments for "
            f"{len(candidate.parameters)} parameters",
            unsupported=False,
        )
    encoded = []
    for parameter, value in zip(candidate.parameters, arguments, strict=True):
        try:
            encoded.append(encode(value, parameter.type))
        except NoBendValue as error:
            raise UnusableCase(f"{label}: argument '{parameter.name}': {error}", unsupported=True) from None
        except WrongType as error:
            raise UnusableCase(f"{label}: argument '{parameter.name}': {error}", unsupported=False) from None
    return f"{candidate.entry}({', '.join(encoded)})" if encoded else candidate.entry


class Forces:
    """Forcing functions, one a type, defined as they are asked for."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._sources: list[str] = []

    def name(self, typ: BendType) -> str:
        key = str(typ)
        if key not in self._names:
            self._names[key] = f"{HARNESS}force{len(self._names)}"
            self._sources.append(self._define(self._names[key], typ))
        return self._names[key]

    def source(self) -> str:
        return "\n".join(self._sources)

    def _define(self, name: str, typ: BendType) -> str:
        head = f"def {name}(x: {typ}) -> {typ}:\n"
        match typ:
            case Num(kind):
                zero = {"u24": "0", "i24": "+0", "f24": "0.0"}[kind]
                return f"{head}  return x + {zero}\n"
            case Str():
                return head + _rebuild("String", "x.head + 0", f"{name}(x.tail)")
            case ListOf(item):
                return head + _rebuild("List", f"{self.name(item)}(x.head)", f"{name}(x.tail)")
            case Tup(items):
                parts = [f"x{at}" for at in range(len(items))]
                forced = [f"{self.name(item)}({part})" for item, part in zip(items, parts, strict=True)]
                return f"{head}  ({', '.join(parts)}) = x\n  return ({', '.join(forced)})\n"


def _rebuild(kind: str, head: str, tail: str) -> str:
    return (
        f"  match x:\n    case {kind}/Nil:\n      return {kind}/Nil\n"
        f"    case {kind}/Cons:\n      return {kind}/Cons({head}, {tail})\n"
    )
