"""Signature and docstring, from a task, a file or a model."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from agent.scaffold import scaffold_in_answer, scaffold_in_source, scaffold_in_text

STUB = 'from math import pi\n\ndef area(r: float) -> float:\n    """Area of a circle."""\n'


def test_stubs_in_text() -> None:
    for body in ("", "    ...\n", "    pass\n", "    raise NotImplementedError\n"):
        found = scaffold_in_text(f"Write it.\n\n```python\n{STUB}{body}```\nThanks.")
        assert found is not None
        assert (found.text, found.entry, found.origin) == (STUB, "area", "task")


def test_a_stub_without_docstring_keeps_its_signature() -> None:
    for body in (" ...\n", "\n    ...\n"):
        found = scaffold_in_text(f"```python\ndef f(\n    a, b\n):{body}```")
        assert found is not None
        assert found.text == "def f(\n    a, b\n):\n"


def test_finished_code_is_no_scaffold() -> None:
    assert scaffold_in_text("```python\ndef f():\n    return 1\n```") is None
    assert scaffold_in_text("```python\nx = 1\n```") is None
    assert scaffold_in_text("```\nnot python at all\n```") is None


def test_function_of_a_file() -> None:
    source = 'import os\n\n@cache\ndef f(x):\n    """Doc."""\n    return x\n\ndef g():\n    return 1\n'
    found = scaffold_in_source(source, "f")
    assert found is not None
    assert (found.text, found.origin) == ('@cache\ndef f(x):\n    """Doc."""\n', "file")
    bare = scaffold_in_source(source, "g")
    assert bare is not None
    assert bare.text == "def g():\n"
    assert scaffold_in_source(source, "h") is None
    assert scaffold_in_source("def f(:", "f") is None


def test_what_a_model_writes_is_cut_to_signature_and_docstring() -> None:
    complete = 'def f(x: int) -> int:\n    """Twice."""\n'
    for more in ("", "    return 2 * x\n", "    return (2 *", "    y = 1\n    for"):
        found = scaffold_in_answer(complete + more, "f")
        assert found is not None
        assert (found.text, found.origin) == (complete, "model")
    assert scaffold_in_answer("I cannot", "f") is None
    assert scaffold_in_answer("def g():\n    return 1\n", "f") is None


@given(st.text(max_size=80))
def test_a_scaffold_with_a_body_parses(answer: str) -> None:
    found = scaffold_in_answer("def f(" + answer, "f")
    if found is not None:
        ast.parse(found.text + f"{found.indent}return 1\n")
