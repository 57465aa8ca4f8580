"""Take the program out of an answer, in bounded time: the code fence first, then the syntax tree.

`evalplus.sanitize` tries every range of lines, which is cubic (800 short lines did not finish in eight
minutes). Here the text is cut at 64 KiB and parsed at most `MAX_PARSES` times. What is kept follows sanitize:
imports, and the definitions and assignments that the entry point reaches; statements that run code on import
are dropped. Where a name is defined twice both stay, as Python means it (sanitize keeps the first).
"""

from __future__ import annotations

import ast
import re
import warnings

MAX_CHARS = 65_536
MAX_PARSES = 32
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_CODE_START = re.compile(
    r"^(?:import |from \w|def \w|async def |class \w|@\w|[A-Za-z_]\w*\s*(?::[^=\n]+)?=[^=])", re.MULTILINE
)


def extract(text: str, entry: str, *, in_fence: bool = False) -> str:
    """The program in `text` that defines `entry`, else the likeliest piece of code, else ''.

    in_fence: the text continues an already opened code block (the prompt's prefill), so code comes first;
    an answer that opens its own all the same is read as such when nothing else defines `entry`.
    """
    text = text[:MAX_CHARS].replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").replace("\0", "")
    best = ""
    budget = MAX_PARSES
    for candidate in _candidates(text, in_fence):
        tree, kept, used = _parse_prefix(candidate, budget)
        budget -= used
        if tree is not None:
            code = _prune(tree, kept, entry)
            if _defines(tree, entry):
                return code
            best = best or code
        if budget <= 0:
            break
    return best


def _candidates(text: str, in_fence: bool) -> list[str]:
    """Pieces of the text that may be code, likeliest first: fenced blocks, then what follows the first
    code-like line.
    """
    whole = _inside(text, open_=False)
    if in_fence:
        return list(dict.fromkeys([*_inside(text, open_=True), *whole]))
    return whole or [text]


def _inside(text: str, *, open_: bool) -> list[str]:
    """The pieces of text within fences. open_: it begins within one."""
    pieces = _FENCE.split(text)
    fences = [m.group() for m in _FENCE.finditer(text)]
    inside: list[str] = []
    for i, piece in enumerate(pieces):
        if open_ and piece.strip():
            inside.append(piece.strip("\n"))
        # A fence with a language always opens, also when the one before was never closed.
        if i < len(fences):
            open_ = not open_ or fences[i].strip().strip("`~") != ""
    return inside


def _parse(code: str) -> ast.Module | int:
    """The tree, or the line (from 1) where parsing stopped."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except SyntaxError as error:
        return error.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        return 1


def _parse_prefix(code: str, budget: int) -> tuple[ast.Module | None, str, int]:
    """Parse `code`, dropping prose before it and the unfinished or broken end; (tree, what was kept, parses
    used).
    """
    used = 0
    while budget > used and code.strip():
        found = _parse(code)
        used += 1
        if isinstance(found, ast.Module):
            return (found, code, used) if found.body else (None, "", used)
        lines = code.split("\n")
        head = _start_before(lines, found)
        if head > 0:
            code = "\n".join(lines[:head])
            continue
        # The first top-level statement is the broken one: an answer cut off inside it, or prose.
        start = _CODE_START.search(code)
        if start is None:
            return None, "", used
        if start.start() > 0:
            code = code[start.start() :]
            continue
        tree, kept, more = _drop_tail(lines, budget - used)
        used += more
        if tree is not None:
            return tree, kept, used
        following = _CODE_START.search(code, 1)
        if following is None:
            return None, "", used
        code = code[following.start() :]
    return None, "", used


def _start_before(lines: list[str], lineno: int) -> int:
    """Index of the top-level line at or before line `lineno`, where the broken statement begins."""
    index = min(lineno, len(lines)) - 1
    while index > 0 and (not lines[index].strip() or lines[index][0] in " \t)]}#"):
        index -= 1
    while index > 0 and lines[index - 1].startswith("@"):
        index -= 1
    return index


def _drop_tail(lines: list[str], budget: int) -> tuple[ast.Module | None, str, int]:
    """Drop up to eight lines from the end: an answer cut off by the token limit."""
    used = 0
    for drop in range(1, min(9, len(lines), budget + 1)):
        kept = "\n".join(lines[:-drop])
        used += 1
        found = _parse(kept)
        if isinstance(found, ast.Module) and found.body:
            return found, kept, used
    return None, "", used


def _names(node: ast.stmt) -> list[str]:
    """Names that a top-level statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    return [n.id for t in targets for n in _walk(t) if isinstance(n, ast.Name)]


def _walk(node: ast.AST) -> list[ast.AST]:
    """`ast.walk` as a list."""
    return list(ast.walk(node))


def _defines(tree: ast.Module, entry: str) -> bool:
    return any(entry in _names(node) for node in tree.body)


def _prune(tree: ast.Module, code: str, entry: str) -> str:
    """Imports, and what `entry` reaches; all definitions where `entry` is missing."""
    binding = {id(node): _names(node) for node in tree.body}
    uses = {
        id(node): {n.id for n in _walk(node) if isinstance(n, ast.Name)}
        for node in tree.body
        if binding[id(node)]
    }
    binders: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        for name in binding[id(node)]:
            binders.setdefault(name, []).append(node)
    queue = [entry] if entry in binders else list(binders)
    reached = set(queue)
    while queue:
        for node in binders.get(queue.pop(), ()):
            new = uses.pop(id(node), set()) - reached
            reached |= new
            queue += new
    lines = code.encode().split(b"\n")
    parts = []
    for node in tree.body:
        keep = isinstance(node, ast.Import | ast.ImportFrom) or reached.intersection(binding[id(node)])
        if keep:
            parts.append(_source(lines, node))
    return "\n".join(parts)


def _source(lines: list[bytes], node: ast.stmt) -> str:
    """The statement as written, decorators included. Columns of the syntax tree count UTF-8 bytes."""
    first, column = node.lineno, node.col_offset
    for decorator in getattr(node, "decorator_list", []):
        if decorator.lineno < first:
            first, column = decorator.lineno, 0
    last = node.end_lineno or node.lineno
    picked = lines[first - 1 : last]
    picked[-1] = picked[-1][: node.end_col_offset]
    picked[0] = picked[0][column:]
    return b"\n".join(picked).decode()
