"""Examples in a task's text become its cases: doctests (`>>> f(1)`, the value below) and `f(1) == 2`."""

from __future__ import annotations

import ast
import doctest
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
    try:
        return [(e.source, e.want) for e in doctest.DocTestParser().get_examples(text)]
    except ValueError:  # inconsistent indentation, a missing blank after the prompt
        return []


def _equations(text: str) -> list[tuple[str, str]]:
    """`f(1) == 2` as a whole line (also after `assert` or a list dash), or between backticks."""
    spans = [*text.splitlines(), *re.findall(r"`([^`\n]+)`", text), *re.split(r"[.;]\s", text)]
    pairs = []
    for span in spans:
        match = re.fullmatch(
            r"(?:[-*]\s+)?(?:assert\s+)?(\w+\(.*\))\s*==\s*(.+?)\.?", span.strip().strip("`")
        )
        if match:
            pairs.append((match[1], match[2]))
    return pairs


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
