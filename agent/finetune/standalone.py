"""A function with all it needs from its module, so that it can be posed, written anew and run alone.

`Source(text).pieces(name)` gives the standard-library imports and the module-level helpers that a function
uses, directly or through each other, in the order of the file; None when it needs anything else: another
package, files, the network, a clock, chance.
"""

from __future__ import annotations

import ast
import builtins
import warnings
from dataclasses import dataclass

# Modules without side effects. random, time, os, sys, io, socket and the like are what makes a test flaky.
MODULES = frozenset(
    [
        "abc",
        "array",
        "bisect",
        "calendar",
        "cmath",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "difflib",
        "enum",
        "fractions",
        "functools",
        "heapq",
        "html",
        "itertools",
        "json",
        "keyword",
        "math",
        "numbers",
        "operator",
        "re",
        "reprlib",
        "statistics",
        "string",
        "struct",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
    ]
)
FORBIDDEN = frozenset(
    [
        "open",
        "input",
        "eval",
        "exec",
        "compile",
        "__import__",
        "breakpoint",
        "globals",
        "locals",
        "vars",
        "exit",
        "quit",
    ]
)
MAX_HELPERS = 1500  # characters: they are part of the prompt
Function = ast.FunctionDef


@dataclass(frozen=True, slots=True)
class Pieces:
    """imports, helpers: source text before the function. code: the function. head: its lines up to the
    docstring."""

    imports: str
    helpers: str
    code: str
    head: str

    @property
    def prelude(self) -> str:
        parts = [part for part in (self.imports, self.helpers) if part]
        return "\n\n".join(parts) + "\n\n\n" if parts else ""

    @property
    def program(self) -> str:
        return self.prelude + self.code + "\n"


class Source:
    """A parsed module. Raises SyntaxError or ValueError for text that is no Python."""

    def __init__(self, text: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's code
            self.tree = ast.parse(text)
        self.lines = text.splitlines()
        self.nodes: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            for name in _bound(node):
                self.nodes[name] = node

    def functions(self) -> list[Function]:
        """Public top-level functions with a docstring that holds an example."""
        return [
            node
            for node in self.tree.body
            if isinstance(node, Function)
            and not node.name.startswith(("_", "test"))
            and not node.decorator_list
            and ">>>" in (ast.get_docstring(node) or "")
            and self.nodes.get(node.name) is node
        ]

    def pieces(self, function: Function) -> Pieces | None:
        """See the module."""
        needed: dict[int, ast.stmt] = {}
        imports: dict[str, None] = {}
        if any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in self.tree.body):
            imports["from __future__ import annotations"] = None
        todo: list[ast.stmt] = [function]
        while todo:
            node = todo.pop()
            if not _harmless(node):
                return None
            for name in _free(node):
                found = self.nodes.get(name)
                if found is None:
                    if name in FORBIDDEN or not hasattr(builtins, name):
                        return None
                elif isinstance(found, ast.Import | ast.ImportFrom):
                    line = _import(found, name)
                    if line is None:
                        return None
                    imports[line] = None
                elif isinstance(found, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign):
                    if found is not function and found.lineno not in needed:
                        needed[found.lineno] = found
                        todo.append(found)
                else:
                    return None
        helpers = "\n\n\n".join(self._text(node) for _, node in sorted(needed.items()))
        first = function.body[0]
        if len(helpers) > MAX_HELPERS or first.lineno == function.lineno or len(function.body) < 2:
            return None
        head = "\n".join(self.lines[function.lineno - 1 : first.lineno - 1])
        return Pieces("\n".join(sorted(imports)), helpers, self._text(function), head)

    def _text(self, node: ast.stmt) -> str:
        decorators = getattr(node, "decorator_list", [])
        start = min([node.lineno, *(d.lineno for d in decorators)])
        return "\n".join(self.lines[start - 1 : node.end_lineno])


def _bound(node: ast.stmt) -> list[str]:
    """Names a top-level statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign):
        return [n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _import(node: ast.Import | ast.ImportFrom, name: str) -> str | None:
    """The import of one name alone, None when it is not from a module of MODULES."""
    for alias in node.names:
        if (alias.asname or alias.name).partition(".")[0] != name:
            continue
        renamed = f" as {alias.asname}" if alias.asname else ""
        if isinstance(node, ast.Import):
            return f"import {alias.name}{renamed}" if alias.name.partition(".")[0] in MODULES else None
        module = node.module or ""
        if node.level == 0 and module.partition(".")[0] in MODULES:
            return f"from {module} import {alias.name}{renamed}"
    return None


def _harmless(node: ast.stmt) -> bool:
    """Whether no statement imports, prints, or is asynchronous. Imports inside functions count as foreign."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import | ast.ImportFrom | ast.Global | ast.AsyncFunctionDef | ast.Await):
            return False
        if isinstance(inner, ast.Name) and inner.id in FORBIDDEN | {"print"}:
            return False
        if isinstance(inner, ast.Attribute) and inner.attr in ("now", "today", "utcnow"):
            return False
    return True


def _free(node: ast.stmt) -> set[str]:
    """Names that are read and nowhere bound inside the statement; a superset of its free variables would only
    refuse more."""
    read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    bound = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    bound |= {
        n.name
        for n in ast.walk(node)
        if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler) and n.name
    } - ({node.name} if isinstance(node, ast.FunctionDef) else set())
    bound |= {n.name for n in ast.walk(node) if isinstance(n, ast.MatchAs | ast.MatchStar) and n.name}
    return read - bound
