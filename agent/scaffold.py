"""The scaffold: imports, signature and docstring of the one function a task asks for, without its body.

It is given by the task (a stub in its text, or the function in the file to be changed) or written by the
model; then the body alone is left to fill in.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Literal

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Scaffold:
    """`text` ends after the docstring (or the signature) with a newline; the body comes next, indented by
    `indent`.

    A whole program is `text` and a body. `body`: the one the function has in its file, '' for a stub.
    """

    text: str
    entry: str
    origin: Literal["task", "file", "model"] = "task"
    indent: str = "    "
    body: str = ""


def python_blocks(text: str) -> list[str]:
    """Contents of the fenced blocks of `text` that may be Python."""
    return re.findall(r"^```(?:python|py)?[ \t]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def scaffold_in_text(text: str) -> Scaffold | None:
    """The stub in a task's text: the last function of the first Python block that ends in one, or None."""
    for block in python_blocks(text):
        tree = _parse(block)
        if tree and tree.body and isinstance(tree.body[-1], Function) and _is_stub(tree.body[-1]):
            return _cut(block, tree.body[-1], "task")
    return None


def scaffold_in_source(source: str, entry: str) -> Scaffold | None:
    """Signature and docstring of function `entry` of a file, and nothing else of it; None if not there."""
    tree, lines = _parse(source), source.splitlines(keepends=True)
    for node in tree.body if tree else ():
        if isinstance(node, Function) and node.name == entry:
            cut = _cut(source, node, "file")
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            text = "".join(cut.text.splitlines(keepends=True)[first - 1 :])
            body = "" if _is_stub(node) else "".join(lines[len(cut.text.splitlines()) : node.end_lineno])
            return Scaffold(text, entry, "file", cut.indent, body)
    return None


def scaffold_in_answer(answer: str, entry: str | None) -> Scaffold | None:
    """What a model asked for a signature and docstring wrote, without a body. None: no function."""
    lines = answer.split("\n")
    # The answer may stop in the middle of a statement: try shorter and shorter prefixes, each closed with
    # `pass`.
    for end in range(len(lines), 0, -1):
        for tail in ("", "\n    pass"):
            source = "\n".join(lines[:end]) + tail + "\n"
            tree = _parse(source)
            for node in tree.body if tree else ():
                if isinstance(node, Function) and entry in (None, node.name):
                    return _cut(source, node, "model")
    return None


def _cut(source: str, node: Function, origin: Literal["task", "file", "model"]) -> Scaffold:
    lines = source.splitlines(keepends=True)
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        text = "".join(lines[: first.end_lineno])
        return Scaffold(text.rstrip("\n") + "\n", node.name, origin, " " * first.col_offset)
    # Without a docstring all before the body is the signature, also on a shared line (`def f(x): ...`).
    shared = lines[first.lineno - 1].encode()[: first.col_offset].decode()
    text = "".join(lines[: first.lineno - 1]) + shared.rstrip()
    return Scaffold(text.rstrip("\n") + "\n", node.name, origin)


def _is_stub(node: Function) -> bool:
    rest = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return all(
        isinstance(s, ast.Pass)
        or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and s.value.value is ...)
        or (isinstance(s, ast.Raise) and "NotImplementedError" in ast.unparse(s))
        for s in rest
    )


def _parse(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
