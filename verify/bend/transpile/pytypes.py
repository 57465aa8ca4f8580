"""Types of the Python subset, with unification: int, bool, str, list, tuple, and variables for what is not
known yet."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from verify.bend.transpile.errors import Unsupported


@dataclass(eq=False, slots=True)
class Type:
    """`kind` is int, bool, str, list, set, tuple or var. A set is a list without repeats that may not be
    iterated."""

    kind: str
    args: list[Type] = field(default_factory=list)
    link: Type | None = None


INT, BOOL, STR = Type("int"), Type("bool"), Type("str")


def var() -> Type:
    return Type("var")


def list_of(item: Type) -> Type:
    return Type("list", [item])


def tuple_of(items: list[Type]) -> Type:
    return Type("tuple", items)


def prune(typ: Type) -> Type:
    while typ.link is not None:
        typ = typ.link
    return typ


def unify(a: Type, b: Type, node: ast.AST | None) -> None:
    """Make two types equal. Raises Unsupported at `node` when they cannot be."""
    a, b = prune(a), prune(b)
    if a is b:
        return
    if a.kind == "var":
        if _occurs(a, b):
            raise Unsupported(node, "a value that contains its own type")
        a.link = b
        return
    if b.kind == "var":
        unify(b, a, node)
        return
    if a.kind != b.kind or len(a.args) != len(b.args):
        raise Unsupported(node, f"a value that is {show(a)} here and {show(b)} there")
    for x, y in zip(a.args, b.args, strict=True):
        unify(x, y, node)


def _occurs(variable: Type, typ: Type) -> bool:
    typ = prune(typ)
    return typ is variable or any(_occurs(variable, arg) for arg in typ.args)


def show(typ: Type) -> str:
    typ = prune(typ)
    if typ.kind == "var":
        return "unknown"
    if typ.args:
        return f"{typ.kind}[{', '.join(show(arg) for arg in typ.args)}]"
    return typ.kind


def bend(typ: Type) -> str:
    """The Bend type: int is i24, bool u24, unknown defaults to int."""
    typ = prune(typ)
    match typ.kind:
        case "bool":
            return "u24"
        case "str":
            return "String"
        case "list" | "set":
            return f"List({bend(typ.args[0])})"
        case "tuple":
            return "(" + ", ".join(bend(arg) for arg in typ.args) + ")"
    return "i24"


def mangle(typ: Type) -> str:
    """A name for helpers that exist once a type."""
    typ = prune(typ)
    name = "int" if typ.kind == "var" else typ.kind
    return "_".join(
        [name + (str(len(typ.args)) if typ.kind == "tuple" else ""), *(mangle(arg) for arg in typ.args)]
    )


def of_value(value: object) -> Type:
    """The type of an argument. Raises Unsupported for values outside the subset."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INT
    if isinstance(value, str):
        return STR
    if isinstance(value, tuple):
        if len(value) < 2:
            raise Unsupported(None, "tuples of fewer than two items")
        return tuple_of([of_value(item) for item in value])
    if isinstance(value, list):
        item = var()
        for each in value:
            unify(item, of_value(each), None)
        return list_of(item)
    raise Unsupported(None, f"arguments of type {type(value).__name__}")
