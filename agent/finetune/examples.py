"""The examples of a docstring as cases: what `doctest` would run, where a call and its value say all.

    read(docstring, "gcd")  ->  [Example(case, first line, last line), ...]

An example counts when it is one call of the function with literal arguments (or names that earlier examples
bound to literals) and a literal result, an exception, or `f(x) == literal`. Anything else (printing, files,
other objects, doctest options) is left out; the function's other examples still count.
"""

from __future__ import annotations

import ast
import doctest
from dataclasses import dataclass
from typing import Any

from verify.request import Case

TOLERANCE = 1e-6  # doctests print floats in full; another order of operations may differ in the last digits
MAX_EXAMPLES = 24


@dataclass(frozen=True, slots=True)
class Example:
    """A case, and the lines of the docstring it takes: from `first` up to `last`, the latter not included."""

    case: Case
    first: int
    last: int


def read(docstring: str, entry: str) -> list[Example]:
    """The usable examples of a docstring, without repeats. Nothing when doctest cannot parse it."""
    try:
        examples = doctest.DocTestParser().get_examples(docstring)
    except ValueError:
        return []
    known: dict[str, Any] = {}
    found: dict[str, Example] = {}
    for example in examples:
        try:
            body = ast.parse(example.source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if example.options or len(body) != 1:
            continue
        if isinstance(body[0], ast.Assign):
            _remember(body[0], known)
        elif isinstance(body[0], ast.Expr) and (case := _case(body[0].value, example, entry, known)):
            lines = example.source.count("\n") + example.want.count("\n")
            found.setdefault(
                ast.dump(body[0]), Example(case, example.lineno, example.lineno + lines + (not example.want))
            )
    return list(found.values())[:MAX_EXAMPLES]


def _remember(node: ast.Assign, known: dict[str, Any]) -> None:
    target = node.targets[0]
    if isinstance(target, ast.Name):
        known.pop(target.id, None)
        try:
            known[target.id] = ast.literal_eval(node.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return


def _case(node: ast.expr, example: doctest.Example, entry: str, known: dict[str, Any]) -> Case | None:
    try:
        expected: Any = None
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            if example.want.strip() != "True":
                return None
            expected, node = _value(node.comparators[0], known), node.left
        elif example.exc_msg is None:
            expected = ast.literal_eval(example.want.strip())
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != entry:
            return None
        args = tuple(_value(arg, known) for arg in node.args)
        if any(keyword.arg is None for keyword in node.keywords):
            return None
        kwargs = {str(k.arg): _value(k.value, known) for k in node.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    if example.exc_msg is not None:
        return Case(args, kwargs, raises=example.exc_msg.split(":")[0].strip().rpartition(".")[2])
    return Case(args, kwargs, expected, tolerance=TOLERANCE if _has_float(expected) else None)


def _value(node: ast.expr, known: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    return ast.literal_eval(node)


def _has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_float, value))
    return isinstance(value, float)
