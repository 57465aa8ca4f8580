"""Lists that are changed in place must have no second name.

Bend's values never change, so `xs.append(x)` becomes `xs = append(xs, x)`. That is the same only when
nothing else can see the list: it was made in this function and not stored anywhere else.
"""

from __future__ import annotations

import ast

from verify.bend.transpile.errors import Unsupported
from verify.bend.transpile.pytypes import Type, prune
from verify.bend.transpile.typed import MUTATORS, Typed

_FRESH_CALLS = {"list", "sorted", "range"}


def check(typed: Typed, name: str) -> None:
    """Raise Unsupported when function `name` changes a list that may have another name."""
    node = typed.functions[name].node
    changed = _changed(node, typed)
    if not changed:
        return
    parameters = {arg.arg for arg in node.args.args}
    for each, where in changed.items():
        if each in parameters:
            raise Unsupported(where, f"changing the list '{each}' that belongs to the caller")
    for child in ast.walk(node):
        _bound(child, changed, typed)
        for shared in _shared(child, typed):
            if isinstance(shared, ast.Name) and shared.id in changed:
                raise Unsupported(
                    shared, f"a second name for the list '{shared.id}', which is changed in place"
                )
        if isinstance(child, ast.For):
            inside = _changed(child, typed)
            for use in ast.walk(child.iter):
                if isinstance(use, ast.Name) and use.id in inside:
                    raise Unsupported(child, f"changing '{use.id}' while iterating over it")


def _changed(node: ast.AST, typed: Typed) -> dict[str, ast.AST]:
    found: dict[str, ast.AST] = {}
    for child in ast.walk(node):
        match child:
            case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), method))) if method in MUTATORS:
                found.setdefault(name, child)
            case ast.Assign([ast.Subscript(value=ast.Name(name))]):
                found.setdefault(name, child)
            case ast.Assign([ast.Name(name) as target]) if getattr(child, "in_place", False):
                if prune(typed.expressions[id(target)]).kind == "list":
                    found.setdefault(name, child)
    return found


def _bound(child: ast.AST, changed: dict[str, ast.AST], typed: Typed) -> None:
    """Every binding of a changed name must make a new list."""
    match child:
        case ast.Assign(targets, value):
            for target in targets:
                names = {
                    n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
                }
                for name in names & set(changed):
                    if not (isinstance(target, ast.Name) and _fresh(value)):
                        raise Unsupported(child, f"'{name}' is changed in place but may be another's list")
            if len(targets) > 1 and any(isinstance(t, ast.Name) and t.id in changed for t in targets):
                raise Unsupported(child, "two names for one list that is changed in place")
        case ast.For(target) | ast.comprehension(target):
            for name in {n.id for n in ast.walk(target) if isinstance(n, ast.Name)} & set(changed):
                raise Unsupported(
                    target, f"'{name}' is changed in place but belongs to what is iterated over"
                )


def _fresh(value: ast.expr) -> bool:
    match value:
        case ast.List() | ast.ListComp() | ast.BinOp() | ast.Subscript(slice=ast.Slice()):
            return True
        case ast.Call(ast.Name(name)):
            return name in _FRESH_CALLS
    return False


def _shared(child: ast.AST, typed: Typed) -> list[ast.expr]:
    """Expressions that `child` gives a second name to."""
    match child:
        case ast.Assign(_, value):
            return [value]
        case ast.List(elements) | ast.Tuple(elements):
            return list(elements)
        case ast.IfExp(_, body, orelse):
            return [body, orelse]
        case ast.BoolOp(_, values):
            return list(values)
        case ast.ListComp(elt):
            return [elt]
        case ast.Call(ast.Attribute(_, "append"), args):
            return list(args)
        case ast.Call(ast.Name(name), args) if name in typed.functions and _holds_list(
            typed.functions[name].result
        ):
            return list(args)
        case ast.Call(ast.Name("enumerate" | "zip" | "list" | "reversed"), args):
            # `list(xs)` copies; only its elements are shared, and these cannot be changed through a name.
            return []
    return []


def _holds_list(typ: Type) -> bool:
    typ = prune(typ)
    return typ.kind == "list" or any(_holds_list(arg) for arg in typ.args)
