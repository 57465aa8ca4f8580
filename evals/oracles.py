"""When an output counts as right: EvalPlus's rules, applied outside the candidate's process.

The rules are those of evalplus 0.3.1 (`evalplus.eval`), with two differences that are meant: the oracle of
HumanEval/32 (`find_zero`) is judged to the end (0.3.1 leaves its result unset, so nobody can pass), and NaN
equals NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

# How the runner looks at an output before it leaves the candidate's process.
View = Literal["value", "set", "notnone"]

# Tasks of MBPP whose answer is a set, in whatever container and order.
_SET_EQUAL = frozenset(
    (
        "similar_elements",
        "find_char_long",
        "common_in_nested_lists",
        "extract_singly",
        "larg_nnum",
        "intersection_array",
        "find_dissimilar",
        "Diff",
    )
)
# Tasks of MBPP that return a match object: only whether there is one counts.
_NOT_NONE = frozenset(["check_str", "text_match_three", "text_starta_endb"])


def view(dataset: str, entry: str) -> View:
    if dataset == "mbpp" and entry in _SET_EQUAL:
        return "set"
    if dataset == "mbpp" and entry in _NOT_NONE:
        return "notnone"
    return "value"


def accepts(dataset: str, entry: str, atol: float, args: list[Any], output: Any, expected: Any) -> bool:
    """Is `output` right for `args`? All three are plain built-in values. Never raises."""
    try:
        special = _SPECIAL.get((dataset, entry))
        if special is not None:
            return special(atol, args, output, expected)
        return matches(output, expected, atol)
    except Exception:
        # A wrong type or shape in an oracle's arithmetic: the candidate's output is not what it should be.
        return False


def matches(output: Any, expected: Any, atol: float) -> bool:
    """`==`, or close where the expected value is a float or a non-empty list or tuple of floats, or `atol` is
    set.
    """
    if output == expected:
        return True
    tolerance = atol if atol else 1e-6 if _is_floats(expected) else 0.0
    if type(output) is not type(expected):
        return False
    return (tolerance > 0 and _close(output, expected, tolerance)) or _both_nan(output, expected)


def _is_floats(value: Any) -> bool:
    if isinstance(value, float):
        return True
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, float) for item in value)


def _close(output: Any, expected: Any, atol: float) -> bool:
    """numpy's allclose with rtol 1e-7, on numbers nested in lists and tuples of the same shape."""
    if isinstance(expected, list | tuple):
        if not isinstance(output, list | tuple) or len(output) != len(expected):
            return False
        return all(_close(a, b, atol) for a, b in zip(output, expected, strict=True))
    if isinstance(expected, bool | int | float | complex) and isinstance(
        output, bool | int | float | complex
    ):
        if output == expected or _both_nan(output, expected):
            return True
        return bool(abs(output - expected) <= atol + 1e-7 * abs(expected))
    return False


def _both_nan(output: Any, expected: Any) -> bool:
    return (
        isinstance(output, float)
        and isinstance(expected, float)
        and output != output
        and expected != expected
    )


def _find_zero(atol: float, args: list[Any], output: Any, expected: Any) -> bool:
    (coefficients,) = args
    return bool(abs(sum(c * math.pow(output, i) for i, c in enumerate(coefficients))) <= atol)


def _always(atol: float, args: list[Any], output: Any, expected: Any) -> bool:
    return True


def _or_zero(atol: float, args: list[Any], output: Any, expected: Any) -> bool:
    return output == 0 or matches(output, expected, atol)


def _surface_area(atol: float, args: list[Any], output: Any, expected: Any) -> bool:
    """Also right: the height taken as the distance from the base to the apex of the pyramid."""
    base, height = args
    other = round(base * base + 2 * base * math.sqrt((base / 2) ** 2 + height**2))
    return abs(output - other) <= atol or matches(output, expected, atol)


def _digit_distance(atol: float, args: list[Any], output: Any, expected: Any) -> bool:
    """Also right: the shorter number padded with zeros."""
    first, second = (str(number) for number in args)
    width = max(len(first), len(second))
    other = sum(abs(int(a) - int(b)) for a, b in zip(first.zfill(width), second.zfill(width), strict=True))
    return bool(output == other) or matches(output, expected, atol)


_SPECIAL: dict[tuple[str, str], Callable[[float, list[Any], Any, Any], bool]] = {
    ("humaneval", "find_zero"): _find_zero,
    ("mbpp", "are_equivalent"): _always,
    ("mbpp", "sum_div"): _or_zero,
    ("mbpp", "surface_Area"): _surface_area,
    ("mbpp", "digit_distance_nums"): _digit_distance,
}
