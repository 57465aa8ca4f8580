"""Functions with docstrings out of Python source: what a prompt is made of.

`functions(source)` parses a module with `ast` and yields each function that is worth asking a model for.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

MIN_DOC, MAX_DOC = 40, 700  # characters
MAX_CODE = 6000
TYPING = (
    "Any",
    "Callable",
    "Dict",
    "Iterable",
    "Iterator",
    "List",
    "Optional",
    "Sequence",
    "Set",
    "Tuple",
    "Union",
)


@dataclass(frozen=True, slots=True)
class Function:
    """One function. signature: `def` line(s), dedented; doc: cleaned docstring, cut at a paragraph when it
    is long; code: the whole function as written, dedented; owner: its class, or ''."""

    name: str
    signature: str
    doc: str
    code: str
    owner: str
    line: int

    @property
    def prompt(self) -> str:
        """The head of the function as HumanEval poses it: imports its annotations need, signature,
        docstring."""
        used = [n for n in TYPING if re.search(rf"\b{n}\[", self.signature)]
        imports = f"from typing import {', '.join(used)}\n\n" if used else ""
        body = textwrap.indent(f'"""{self.doc}\n"""', "    ")
        head = f"{self.signature}\n{body}\n"
        if self.owner:
            head = f"class {self.owner}:\n" + textwrap.indent(head, "    ")
        return imports + head


def functions(source: str) -> Iterator[Function]:
    """Every public, documented, non-trivial function and method of a module; nothing when it does not
    parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's code
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = source.splitlines()
    for owner, node in _walk(tree):
        if function := _read(node, owner, lines):
            yield function


def _walk(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, ast.FunctionDef):
                    yield node.name, child


def _read(node: ast.FunctionDef, owner: str, lines: list[str]) -> Function | None:
    doc = ast.get_docstring(node)
    first = node.body[0]
    if not doc or len(doc) < MIN_DOC or len(node.body) < 2 or first.lineno == node.lineno:
        return None
    if node.name.startswith(("__", "test")) or '"""' in doc or "\\" in doc:
        return None
    if len(node.body) == 2 and isinstance(node.body[1], ast.Pass | ast.Raise):
        return None
    signature = textwrap.dedent("\n".join(lines[node.lineno - 1 : first.lineno - 1])).rstrip()
    code = textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
    doc = _shorten(inspect.cleandoc(doc))
    if (
        len(code) > MAX_CODE
        or len(doc) > MAX_DOC
        or not _parses(signature + "\n    pass")
        or not _parses(code)
    ):
        return None
    return Function(node.name, signature, doc, code, owner, node.lineno)


def _shorten(doc: str) -> str:
    """Whole paragraphs from the start, as many as fit in MAX_DOC."""
    kept = ""
    for paragraph in doc.split("\n\n"):
        if kept and len(kept) + len(paragraph) + 2 > MAX_DOC:
            break
        kept = f"{kept}\n\n{paragraph}" if kept else paragraph
    return kept.strip()


def _parses(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
