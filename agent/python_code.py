"""Python answers: keep the definitions, drop demonstrations, put a function into its file."""

from __future__ import annotations

import ast

from agent.errors import EditError

_KEPT = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
)
MAX_TRIES = 200
_MODULES = frozenset(
    ("bisect", "collections", "datetime", "functools", "heapq", "itertools", "json", "math", "operator")
) | {"random", "re", "statistics", "string"}
_TYPING = frozenset(("Any", "Callable", "Dict", "Iterable", "List", "Optional", "Set", "Tuple", "Union"))


def definitions(code: str) -> str:
    """Imports, functions, classes and assignments at the top level of `code`; calls, prints and asserts go.

    An answer cut off in mid-statement is shortened to the last line at column 0 before which it parses (at
    most MAX_TRIES attempts). Code that parses nowhere comes back as it is, so that the check can say why.
    """
    tree = _parse(code)
    if tree is None:
        lines = code.split("\n")
        starts = [
            i for i, line in enumerate(lines) if i and line[:1].strip() and not line.startswith(("#", ")"))
        ]
        for end in reversed(starts[-MAX_TRIES:]):
            shorter = "\n".join(lines[:end])
            if (tree := _parse(shorter)) is not None and any(isinstance(n, _FUNCTIONS) for n in tree.body):
                code = shorter
                break
    if tree is None or not tree.body:
        return code
    lines = code.split("\n")
    kept = list(lines)
    for node in tree.body:
        is_docstring = (
            node is tree.body[0] and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )
        if not isinstance(node, _KEPT) and not is_docstring:
            for at in range(node.lineno - 1, node.end_lineno or node.lineno):
                kept[at] = ""
    return "\n".join(kept).rstrip() + "\n"


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def has_body(code: str, entry: str) -> bool:
    """Whether `entry` is more than a docstring. Code that does not parse counts: the check will say why."""
    tree = _parse(code)
    if tree is None:
        return True
    found = [n for n in tree.body if isinstance(n, _FUNCTIONS) and n.name == entry]
    return any(
        not isinstance(s, ast.Pass) and not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for node in found[-1:]
        for s in node.body
    )


def merge(current: str, code: str) -> str:
    """`current` with the definitions of `code` put in place of those of the same name, new ones at the end.

    Imports that are not there yet go above the first statement that is no import. Everything else of
    `current` stays as it is, byte for byte. Raises EditError when either does not parse.
    """
    new, old = _parse(code), _parse(current)
    if new is None or old is None:
        raise EditError(f"The code has a syntax error: {syntax_error(code if new is None else current)}")
    new_lines, lines = code.splitlines(), current.splitlines()
    places = {name: node for node in old.body for name in _names(node)}
    imports = {ast.unparse(n) for n in old.body if isinstance(n, ast.Import | ast.ImportFrom)}
    replaced: list[tuple[int, int, list[str]]] = []
    added_imports: list[str] = []
    appended: list[str] = []
    for node in new.body:
        start, end = _span(node)
        text = new_lines[start:end]
        if isinstance(node, ast.Import | ast.ImportFrom):
            added_imports += [] if ast.unparse(node) in imports else text
        elif names := _names(node):
            place = next((places[n] for n in names if n in places), None)
            if place is None:
                appended += ["", "", *text]
            else:
                replaced.append((*_span(place), text))
    for start, end, text in sorted(replaced, reverse=True):
        lines[start:end] = text
    if added_imports:
        lines[_import_line(old) : _import_line(old)] = added_imports
    return "\n".join([*lines, *appended]).strip("\n") + "\n"


def with_imports(code: str) -> str:
    """`code` with the imports it forgot: standard modules and names of `typing` that it uses and never binds.

    An answer that continues a scaffold has no place for imports at the top. Code that does not parse is left
    as it is.
    """
    tree = _parse(code)
    if tree is None:
        return code
    nodes = list(ast.walk(tree))
    bound = {a.arg for a in nodes if isinstance(a, ast.arg)}
    bound |= {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {n.name for n in nodes if isinstance(n, _FUNCTIONS)}
    imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    bound |= {(a.asname or a.name).partition(".")[0] for n in imports for a in n.names}
    used = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} - bound
    if any(a.name == "*" for n in imports for a in n.names):
        return code
    lines = [f"import {name}" for name in sorted(used & _MODULES)]
    lines += [f"from typing import {', '.join(sorted(used & _TYPING))}"] if used & _TYPING else []
    at = _import_line(tree)
    source = code.split("\n")
    gap = [] if not lines or at else ["", ""]
    return "\n".join([*source[:at], *lines, *gap, *source[at:]])


def keeps_definitions(current: str, code: str) -> bool:
    """Whether `code`, put in place of the whole file, would keep every definition of `current`."""
    old, new = _parse(current), _parse(code)
    if old is None or new is None:
        return True
    return {n for node in old.body for n in _names(node)} <= {n for node in new.body for n in _names(node)}


def syntax_error(code: str) -> str:
    """The syntax error of `code` in one line, '' when it has none."""
    try:
        ast.parse(code)
    except SyntaxError as error:
        line = (error.text or "").strip()
        return f"line {error.lineno}: {error.msg}" + (f": {line[:80]}" if line else "")
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__
    return ""


def _parse(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, _FUNCTIONS):
        return [node.name]
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return [t.id for t in targets if isinstance(t, ast.Name)]


def _span(node: ast.stmt) -> tuple[int, int]:
    decorators = node.decorator_list if isinstance(node, _FUNCTIONS) else []
    return min([node.lineno, *(d.lineno for d in decorators)]) - 1, node.end_lineno or node.lineno


def _import_line(tree: ast.Module) -> int:
    """Where an import can go: after the docstring and the imports at the top."""
    at = 0
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not isinstance(node, ast.Import | ast.ImportFrom) and not (is_docstring and at == 0):
            break
        at = node.end_lineno or node.lineno
    return at
