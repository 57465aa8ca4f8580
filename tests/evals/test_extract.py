"""Extraction: real shapes of answers, and properties that hold for any text."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.extract import MAX_CHARS, MAX_PARSES, extract

GOOD = (
    "from typing import List\n\ndef helper(x):\n    return x + 1\n\n"
    "def f(x: int) -> int:\n    return helper(x)"
)


def run(code: str, entry: str = "f") -> object:
    namespace: dict[str, object] = {}
    exec(code, namespace)
    return namespace[entry]


@pytest.mark.parametrize(
    ("text", "in_fence"),
    [
        (GOOD, True),
        (GOOD + "\n```\nThis works because it adds one.\n", True),
        (f"Here is the code:\n```python\n{GOOD}\n```\nDone.", False),
        (f"Sure!\n\n~~~\n{GOOD}\n~~~", False),
        (f"```\nnot python at all !!\n```\ntext\n```python\n{GOOD}\n```", False),
        (f"The answer:\n\n{GOOD}\n\nI hope this helps!", False),
        (GOOD + "\n\nprint(f(1))\nassert f(1) == 2\nif __name__ == '__main__':\n    f(3)\n", True),
        (GOOD + "\n\ndef unfinished(a):\n    for i in range(", True),
        (f"```\n{GOOD}\n```", True),
        (f"```\n{GOOD}\n```\nThis works because it adds one.\n", True),
        (f"Here is the code:\n\n```\n{GOOD}\n```\nDone.", True),
        (GOOD.replace("\n", "\r\n"), True),
        (GOOD.replace("    ", "\t"), True),
    ],
)
def test_finds_the_program(text: str, in_fence: bool) -> None:
    code = extract(text, "f", in_fence=in_fence)
    assert run(code)(41) == 42  # type: ignore[operator]
    assert "print" not in code
    assert "unfinished" not in code


def test_keeps_decorators_globals_and_both_definitions_of_a_name() -> None:
    text = (
        "import functools\nLIMIT: int = 3\nTABLE = {1: 2}\nUNUSED = 9\n\n"
        "@functools.lru_cache(None)\ndef f(x):\n    return old(x) + LIMIT\n\n"
        "def old(x):\n    return 0\n\ndef old(x):\n    return TABLE[x]\n"
    )
    code = extract(text, "f", in_fence=True)
    assert run(code)(1) == 5  # type: ignore[operator]
    assert "UNUSED" not in code
    assert "lru_cache" in code


def test_columns_are_bytes() -> None:
    code = extract('s = "é"; t = "ü"\ndef f():\n    return s + t  # ñ', "f", in_fence=True)
    assert run(code)() == "éü"  # type: ignore[operator]


@pytest.mark.parametrize("text", ["", "   \n", "I cannot help with that.", "```python\n```", "(((((", "\0\0"])
def test_nothing_to_find(text: str) -> None:
    assert extract(text, "f") == ""


def test_answer_cut_in_the_entry_point_keeps_its_longest_valid_start() -> None:
    code = extract("def f(x):\n    y = x\n    return y\n    z = [1,\n    2", "f", in_fence=True)
    assert run(code)(7) == 7  # type: ignore[operator]


HARD = [
    "x = 1\n" * 20_000,
    "def f(x):\n    return x\n" * 5_000,
    "(" * 60_000,
    "-" * 60_000 + "1",
    "a b\n" * 15_000,
    "".join(f"def f{i}():\n    return f{i + 1}()\n" for i in range(2_000)),
    "```\n" * 15_000,
    "import a\n1 1\n" * 5_000,
    "x" * 2_000_000,
    "[" * 5_000 + "]" * 5_000,
    "1" + "+1" * 30_000,
    '"""' + "\n" * 60_000,
]


@pytest.mark.parametrize("text", HARD, ids=range(len(HARD)))
@pytest.mark.parametrize("in_fence", [True, False])
def test_hard_texts_take_a_bounded_number_of_parses(
    text: str, in_fence: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    parse = ast.parse

    def counted(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        return parse(*args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(ast, "parse", counted)
    extract(text, "f", in_fence=in_fence)
    assert calls <= MAX_PARSES


pieces = st.sampled_from(
    [
        "def f(x):\n",
        "    return x\n",
        "```python\n",
        "```\n",
        "import os\n",
        "Sure, here:\n",
        "@d\n",
        "x = 1\n",
        "class A:\n",
        "    def g(self):\n",
        "        pass\n",
        "'''\n",
        "(\n",
        "\t",
        "é\n",
        "\r",
        "if x:\n",
        "print(f(1))\n",
    ]
)


@settings(max_examples=300)
@given(st.lists(st.one_of(pieces, st.text(max_size=12)), max_size=30).map("".join), st.booleans())
def test_any_text_gives_code_that_parses(text: str, in_fence: bool) -> None:
    code = extract(text, "f", in_fence=in_fence)
    assert len(code) <= MAX_CHARS * 4
    ast.parse(code)
    # Extraction is stable: what was taken out is found again as it is.
    assert extract(code, "f", in_fence=True) == code


@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from(["Certainly!", "The answer is below.", "It uses a loop.", "Note: O(n)."]), max_size=5
    )
)
def test_prose_around_a_fence_changes_nothing(prose: list[str]) -> None:
    text = "\n".join([*prose, "```python", GOOD, "```", *prose])
    assert extract(text, "f") == extract(GOOD, "f", in_fence=True)
