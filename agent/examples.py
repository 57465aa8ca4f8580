"""Examples in a task's text become its cases: doctests (`>>> f(1)`, the value below) and `f(1) == 2`."""

from __future__ import annotations

import ast
import re
from typing import Any

from verify.request import Case

MAX_EXAMPLES = 64


def cases_in_text(text: str, entry: str | None) -> tuple[str | None, tuple[Case, ...]]:
    """The function the examples call and the examples as cases.

    Only calls with literal arguments and literal results count. Without `entry` the first function called is
    it; calls of other functions are left out. No examples: (entry, ()).
    """
    cases: dict[str, Case] = {}
    for call, expected in [*_doctests(text), *_equations(text)]:
        parsed = _case(call, expected)
        if parsed is None or entry not in (None, parsed[0]):
            continue
        entry = parsed[0]
        cases.setdefault(call.strip(), parsed[1])
    return entry, tuple(cases.values())[:MAX_EXAMPLES]


def _doctests(text: str) -> list[tuple[str, str]]:
    """A `>>> ` line and the line below (`doctest`'s parser refuses what surrounds them in a task)."""
    return re.findall(r"^[ \t]*>>> (.+)\n[ \t]*(?!>>>)(.+)$", text, re.MULTILINE)


def _equations(text: str) -> list[tuple[str, str]]:
    """Every `name(...) == value` of the text, in prose or in code, each on one line."""
    pairs = []
    for line in text.splitlines():
        for match in re.finditer(r"(?<![\w.])[A-Za-z_]\w*\(", line):
            end = _end(line, match.end() - 1, ")") + 1
            if equals := re.compile(r"\s*==\s*").match(line, end):
                value = line[equals.end() : _end(line, equals.end(), ",;`")]
                pairs.append((line[match.start() : end], value.rstrip(".")))
    return pairs


def _end(line: str, start: int, stops: str) -> int:
    """Where the first of `stops` or a blank stands outside brackets and quotes, the closing one included."""
    depth, quote, at = 0, "", start
    while at < len(line):
        sign = line[at]
        if quote:
            at += sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if depth < 0 or (depth == 0 and sign in stops):
                return at
        elif depth == 0 and (sign in stops or sign.isspace()):
            return at
        at += 1
    return at


def _case(call: str, expected: str) -> tuple[str, Case] | None:
    try:
        node = ast.parse(call.strip(), mode="eval").body
        value: Any = ast.literal_eval(expected.strip())
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            return None
        args = tuple(ast.literal_eval(arg) for arg in node.args)
        kwargs = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords if k.arg}
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError):
        return None
    return node.func.id, Case(args=args, kwargs=kwargs, expected=value)
