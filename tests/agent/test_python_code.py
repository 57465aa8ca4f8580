"""Definitions kept, demonstrations dropped, functions merged into their file."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import EditError
from agent.python_code import definitions, has_body, keeps_definitions, merge, syntax_error, with_imports

FILE = (
    '"""Doc."""\n\nimport os\n\nLIMIT = 3\n\n\n'
    + "@property\ndef f(x):\n    return x  # old\n\n\nclass C:\n    a = 1\n"
)


def test_demonstrations_are_dropped() -> None:
    code = "import re\nA = 1\n\ndef f():\n    return A\n\n"
    code += "print(f())\nassert f() == 1\nif __name__ == '__main__':\n    f()\n"
    assert definitions(code) == "import re\nA = 1\n\ndef f():\n    return A\n"


def test_an_answer_cut_off_loses_its_last_statement_only() -> None:
    code = "def f():\n    return 1\n\ndef g():\n    return [1, 2,"
    assert definitions(code) == "def f():\n    return 1\n"
    hopeless = "def f(:\n    return"
    assert definitions(hopeless) == hopeless


def test_has_body() -> None:
    assert has_body("def f():\n    return 1\n", "f")
    assert has_body("def f(:", "f")
    assert not has_body('def f():\n    """Doc."""\n', "f")
    assert not has_body("def f():\n    ...\n", "f")
    assert not has_body("def g():\n    return 1\n", "f")


def test_merge_replaces_by_name_and_leaves_the_rest() -> None:
    merged = merge(FILE, "import os\nimport re\n\ndef f(x):\n    return 2 * x\n\ndef new():\n    return re\n")
    assert merged == (
        '"""Doc."""\n\nimport os\nimport re\n\nLIMIT = 3\n\n\ndef f(x):\n    return 2 * x\n\n\nclass C:\n'
        "    a = 1\n\n\n"
        "def new():\n    return re\n"
    )
    assert merge(FILE, "LIMIT = 4\n") == FILE.replace("LIMIT = 3", "LIMIT = 4")


def test_merge_into_an_empty_file_and_of_bad_code() -> None:
    assert merge("", "def f():\n    return 1\n") == "def f():\n    return 1\n"
    with pytest.raises(EditError, match=r"syntax error: line 1: .*def f\(:"):
        merge(FILE, "def f(:\n")


def test_keeps_definitions() -> None:
    assert keeps_definitions(FILE, FILE + "\nX = 1\n")
    assert not keeps_definitions(FILE, "def f(x):\n    return x\n")


def test_syntax_error() -> None:
    assert syntax_error("x = 1") == ""
    assert syntax_error("x = 'a\0b'")
    assert "line 1" in syntax_error("def")


NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@given(NAMES, NAMES)
def test_merge_gives_the_union_with_new_bodies(old: list[str], new: list[str]) -> None:
    merged = merge(
        "\n\n".join(f"def {n}():\n    return 'old'\n" for n in old),
        "\n\n".join(f"def {n}():\n    return 'new'\n" for n in new),
    )
    found = {n.name: ast.unparse(n.body[0]) for n in ast.parse(merged).body if isinstance(n, ast.FunctionDef)}
    assert found == {n: "return 'new'" if n in new else "return 'old'" for n in [*old, *new]}


@given(st.text(max_size=100))
def test_any_text_is_survived(text: str) -> None:
    definitions(text)
    has_body(text, "f")
    keeps_definitions(text, text)
    syntax_error(text)


def test_forgotten_imports_are_added() -> None:
    code = "def f(x: List[int]) -> float:\n    return math.sqrt(len(re.sub('a', '', str(x))))\n"
    assert with_imports(code) == "import math\nimport re\nfrom typing import List\n\n\n" + code
    bound = '"""Doc."""\nimport math as re\n\ndef f(string):\n    json = string\n    return json, re, len\n'
    assert with_imports(bound) == bound
    some = '"""Doc."""\nimport os\n\nX = os, re\n'
    assert with_imports(some) == '"""Doc."""\nimport os\nimport re\n\nX = os, re\n'
    assert with_imports("def f(:") == "def f(:"


@given(st.text(max_size=100))
def test_added_imports_leave_the_rest(code: str) -> None:
    assert with_imports(code).endswith(code)
