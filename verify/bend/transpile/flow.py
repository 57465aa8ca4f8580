"""What a block of statements reads, and which names it has bound when it ends."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence


def reads(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that are read anywhere in `nodes`."""
    found: set[str] = set()
    for node in nodes:
        for child in ast.walk(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
                found.add(child.id)
            elif isinstance(child, ast.Assign):
                # `xs[i] = v` reads xs.
                found |= {
                    t.value.id
                    for t in child.targets
                    if isinstance(t, ast.Subscript) and isinstance(t.value, ast.Name)
                }
    return found


def binds(target: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def after(body: Sequence[ast.stmt], bound: set[str]) -> set[str] | None:
    """Names bound for certain after `body`, or None when control never gets past it."""
    current: set[str] | None = set(bound)
    for node in body:
        if current is None:
            return None
        match node:
            case ast.Return() | ast.Break() | ast.Continue():
                return None
            case ast.Assign(targets):
                for target in targets:
                    current |= binds(target)
            case ast.If(_, then, orelse):
                left, right = after(then, current), after(orelse, current)
                if left is None or right is None:
                    current = right if left is None else left
                else:
                    current = left & right
            case ast.While(ast.Constant(True), then):
                current = set(current) if leaves(then) else None
    return current


def leaves(body: Sequence[ast.stmt]) -> bool:
    """Is there a `break` of this loop in `body`?"""
    for node in body:
        match node:
            case ast.Break():
                return True
            case ast.If(_, then, orelse):
                if leaves(then) or leaves(orelse):
                    return True
    return False
