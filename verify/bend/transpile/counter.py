"""Loops over a range become counters."""

from __future__ import annotations

import ast
from collections.abc import Callable


def counted(node: ast.expr, number: Callable[[ast.expr], str]) -> tuple[str, str, int] | None:
    """Start, stop and step of a `range` whose step is a constant; `number` lowers the first two."""
    match node:
        case ast.Call(ast.Name("range"), [stop]):
            return "+0", number(stop), 1
        case ast.Call(ast.Name("range"), [start, stop]):
            return number(start), number(stop), 1
        case ast.Call(ast.Name("range"), [start, stop, ast.Constant(int(step))]) if step > 0:
            return number(start), number(stop), step
        case ast.Call(ast.Name("range"), [start, stop, ast.UnaryOp(ast.USub(), ast.Constant(int(step)))]) if (
            step
        ):
            return number(start), number(stop), -step
    return None


def advance(counter: str, step: int) -> str:
    """The next value of a counter. Steps of one cannot leave 24 bits before they reach the stop."""
    if abs(step) == 1:
        return f"{counter} {'+' if step > 0 else '-'} +1"
    return f"py/add({counter}, {step:+d})"
