"""Reads `cases.json`: what a function is called with and what must come back, or a program's input and
output.

Function cases are a list of objects:

    {"args": [3, "a"], "expected": 12}                    args and expected are JSON values
    {"args": [2.0], "expected": 1.41, "tolerance": 0.01}  absolute and relative
    {"args": ["x"], "raises": "ValueError"}               instead of expected
    {"args": [[3, 1]], "expected": [1, 3], "compare": "unordered"}         exact (default), close, unordered,
    oracle {"args": [4], "compare": "oracle", "oracle": "def accept(args, output): return output % args[0] ==
    0"} {"args": [[3, 1]], "expected": [[1, 3]], "mutates": true}              expected: the arguments after
    the call

and optionally `kwargs` (an object) and `id` (a string). What JSON has no notation for is an object with one
key: {"$tuple": [1, 2]}  {"$set": [1]}  {"$frozenset": [1]}  {"$bytes": "00ff"} (hex)  {"$complex": [0.0,
1.0]} {"$float": "nan"} (or inf, -inf)  {"$dict": [[1, "a"]]} (pairs; for keys that are not strings, or start
with $).

Program cases are objects with `stdin`, `stdout`, `argv`, `exit_code`, `id`, all optional but one of stdout
and exit_code. Every mistake is a `CasesError` of one line that names the file and the entry.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

from verify.request import Case, Compare, ProgramCase

_CASE_KEYS = frozenset(
    ("args", "kwargs", "expected", "tolerance", "raises", "compare", "oracle", "mutates", "id")
)
_PROGRAM_KEYS = frozenset(("stdin", "stdout", "argv", "exit_code", "id"))
MAX_FILE = 64 << 20


class CasesError(ValueError):
    """A file of cases that cannot be used; one line with file, entry and remedy."""


class UnknownKeyError(CasesError):
    """A key that this kind of case does not have."""


def read_cases(path: Path) -> tuple[Case, ...]:
    """Function cases from a file. Raises CasesError."""
    return parse_cases(_entries(path), str(path))


def read_program_cases(path: Path) -> tuple[ProgramCase, ...]:
    """Program cases from a file. Raises CasesError."""
    return parse_program_cases(_entries(path), str(path))


def _entries(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_FILE:
            raise CasesError(f"{path}: larger than {MAX_FILE >> 20} MB")
        return json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise CasesError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CasesError(f"{path}: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise CasesError(f"{path}: not JSON (line {error.lineno}: {error.msg})") from None
    except RecursionError:
        raise CasesError(f"{path}: nested too deeply") from None


def parse_cases(entries: Any, where: str = "cases") -> tuple[Case, ...]:
    """Function cases from decoded JSON; `where` names them in errors. Raises CasesError."""
    return tuple(_case(entry, place) for entry, place in _listed(entries, where))


def parse_program_cases(entries: Any, where: str = "cases") -> tuple[ProgramCase, ...]:
    """Program cases from decoded JSON. Raises CasesError."""
    return tuple(_program_case(entry, place) for entry, place in _listed(entries, where))


def _listed(entries: Any, where: str) -> list[tuple[dict[str, Any], str]]:
    if not isinstance(entries, list):
        raise CasesError(f"{where}: a list of cases is wanted, this is {_kind(entries)}")
    if not entries:
        raise CasesError(f"{where}: no cases; a check without a test cannot pass")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise CasesError(f"{where}: case {index} is {_kind(entry)}, an object is wanted")
    return [(entry, f"{where}: case {index}") for index, entry in enumerate(entries)]


def _case(entry: dict[str, Any], place: str) -> Case:
    _known(entry, _CASE_KEYS, place)
    args = _typed(entry, "args", list, [], place)
    kwargs = _typed(entry, "kwargs", dict, {}, place)
    raises = _typed(entry, "raises", str, None, place)
    oracle = _typed(entry, "oracle", str, None, place)
    compare = _typed(entry, "compare", str, "oracle" if oracle else "exact", place)
    if compare not in get_args(Compare):
        raise CasesError(f"{place}: compare is {compare!r}, one of {', '.join(get_args(Compare))} is wanted")
    if (compare == "oracle") != (oracle is not None):
        raise CasesError(f"{place}: compare oracle and the source in `oracle` belong together")
    wanted = [name for name in ("expected", "raises", "oracle") if name in entry]
    if len(wanted) != 1:
        found = " and ".join(wanted) or "none"
        raise CasesError(f"{place}: exactly one of expected, raises, oracle is wanted, there is {found}")
    tolerance = entry.get("tolerance")
    if tolerance is not None and (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, int | float)
        or not math.isfinite(tolerance)
        or tolerance < 0
    ):
        raise CasesError(f"{place}: tolerance is {tolerance!r}, a number of 0 or more is wanted")
    return Case(
        args=tuple(from_json(value, f"{place}: args") for value in args),
        kwargs={name: from_json(value, f"{place}: kwargs") for name, value in kwargs.items()},
        expected=from_json(entry.get("expected"), f"{place}: expected"),
        raises=raises,
        tolerance=tolerance,
        compare=compare,
        oracle=oracle,
        mutates=_typed(entry, "mutates", bool, False, place),
        id=_typed(entry, "id", str, "", place),
    )


def _program_case(entry: dict[str, Any], place: str) -> ProgramCase:
    _known(entry, _PROGRAM_KEYS, place)
    if "stdout" not in entry and "exit_code" not in entry:
        raise CasesError(f"{place}: stdout or exit_code is wanted, or the case tests nothing")
    argv = _typed(entry, "argv", list, [], place)
    if not all(isinstance(word, str) for word in argv):
        raise CasesError(f"{place}: argv must hold strings")
    code = _typed(entry, "exit_code", int, 0, place)
    return ProgramCase(
        stdin=_typed(entry, "stdin", str, "", place),
        stdout=_typed(entry, "stdout", str, "", place),
        argv=tuple(argv),
        exit_code=code,
        id=_typed(entry, "id", str, "", place),
    )


def _known(entry: dict[str, Any], keys: frozenset[str], place: str) -> None:
    for name in entry:
        if name not in keys:
            raise UnknownKeyError(f"{place}: unknown key {name!r}; known are {', '.join(sorted(keys))}")


def _typed(entry: dict[str, Any], name: str, kind: type, default: Any, place: str) -> Any:
    value = entry.get(name, default)
    if value is default:
        return value
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CasesError(f"{place}: {name} is {_kind(value)}, {_NAMES[kind]} is wanted")
    return value


_NAMES = {
    list: "a list",
    dict: "an object",
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def _kind(value: Any) -> str:
    return "null" if value is None else _NAMES.get(type(value), type(value).__name__)


def from_json(value: Any, place: str) -> Any:
    """A Python value from JSON with the `$` notation above. Raises CasesError."""
    if isinstance(value, list):
        return [from_json(member, place) for member in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, content),) = value.items()
        if name.startswith("$"):
            return _special(name, content, place)
    return {name: from_json(member, place) for name, member in value.items()}


def _special(name: str, content: Any, place: str) -> Any:
    try:
        match name:
            case "$tuple":
                return tuple(_members(content, place))
            case "$set":
                return set(_members(content, place))
            case "$frozenset":
                return frozenset(_members(content, place))
            case "$bytes":
                return bytes.fromhex(content)
            case "$float" if content in ("nan", "inf", "-inf"):
                return float(content)
            case "$complex":
                return complex(*content)
            case "$dict":
                return {from_json(key, place): from_json(member, place) for key, member in content}
    except CasesError:
        raise
    except (TypeError, ValueError):
        raise CasesError(f"{place}: {json.dumps({name: content})[:80]} cannot be read") from None
    raise CasesError(
        f"{place}: {name!r} is none of $tuple $set $frozenset $bytes $complex $float (nan, inf, -inf) $dict"
    )


def _members(content: Any, place: str) -> list[Any]:
    if not isinstance(content, list):
        raise CasesError(f"{place}: a list is wanted after $tuple, $set or $frozenset")
    return [from_json(member, place) for member in content]
