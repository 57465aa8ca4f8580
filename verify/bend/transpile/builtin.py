"""Which built-in functions, methods and operators of Python exist here, their types and their Bend helpers.

One table serves type inference and code generation: `call(name, types)` says what a call needs and gives,
and which definition of `runtime.py` does it. Types that are still unknown at inference time are taken for
lists or ints.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from verify.bend.transpile.errors import Unsupported
from verify.bend.transpile.pytypes import BOOL, INT, STR, Type, list_of, prune, show, tuple_of, var


@dataclass(frozen=True, slots=True)
class Operation:
    """`parameters` and `result` are unified with the use.

    helper: a definition applied to the arguments, a template of them (`{0}`), an infix operator, or nothing
    (the argument itself). item: the element type for which helpers like `py/in_T` have to be made, `{item}`
    in a template.
    """

    parameters: tuple[Type, ...]
    result: Type
    helper: str
    item: Type | None = None


_INT_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "py/add",
    ast.Sub: "py/sub",
    ast.Mult: "py/mul",
    ast.FloorDiv: "py/floordiv",
    ast.Mod: "py/mod",
    ast.Pow: "py/pow",
    ast.LShift: "py/shl",
    ast.RShift: "py/shr",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
}

_STR_TESTS = ("isalpha", "isdigit", "isupper", "islower")


def binary(node: ast.BinOp, left: Type, right: Type) -> Operation:
    """The operation of `left OP right`."""
    a, b = prune(left), prune(right)
    operator = type(node.op)
    if operator is ast.Div:
        raise Unsupported(node, "'/' (floats); '//' is supported")
    if operator is ast.Add and (a.kind == "list" or b.kind == "list"):
        same = list_of(var())
        return Operation((same, same), same, "py/concat")
    if operator is ast.Add and "str" in (a.kind, b.kind):
        return Operation((STR, STR), STR, "py/str_concat")
    if operator is ast.Mult and a.kind == "list":
        same = list_of(var())
        return Operation((same, INT), same, "py/repeat")
    if operator is ast.Mult and a.kind == "str":
        return Operation((STR, INT), STR, "py/str_repeat")
    if operator in _INT_OPERATORS:
        return Operation((INT, INT), INT, _INT_OPERATORS[operator])
    raise Unsupported(node, f"operator {operator.__name__}")


def call(node: ast.Call, name: str, types: Sequence[Type]) -> Operation:
    """The operation of a call of the builtin `name` with positional arguments of `types`."""
    kinds = [prune(typ).kind for typ in types]
    item = var()
    items = list_of(item)
    match name, kinds:
        case "abs", [_]:
            return Operation((INT,), INT, "py/abs")
        case "len", ["str"]:
            return Operation((STR,), INT, "py/str_len")
        case "len", ["set"]:
            return Operation((types[0],), INT, "py/len")
        case "len", [_]:
            return Operation((items,), INT, "py/len")
        case "sum", [_]:
            inner = prune(types[0])
            if inner.kind == "list" and prune(inner.args[0]).kind == "bool":
                return Operation((list_of(BOOL),), INT, "py/sum_bool")
            return Operation((list_of(INT),), INT, "py/sum")
        case (("min" | "max"), [_]):
            return Operation((list_of(INT),), INT, f"py/{name}")
        case (("min" | "max"), [_, _]):
            return Operation((INT, INT), INT, f"py/{name}2")
        case (("any" | "all"), [_]):
            return Operation((list_of(BOOL),), BOOL, f"py/{name}")
        case "sorted", ["set"]:
            return Operation((Type("set", [INT]),), list_of(INT), "py/sort")
        case "sorted", [_]:
            return Operation((list_of(INT),), list_of(INT), "py/sort")
        case "list", ["str"]:
            return Operation((STR,), list_of(STR), "py/chars")
        case "list", ["set"]:
            return Operation((types[0],), types[0], "")
        case (("list" | "reversed"), [_]):
            return Operation((items,), items, "" if name == "list" else "py/reverse")
        case "set", ["str"]:
            return Operation((STR,), Type("set", [STR]), "py/unique_{item}(py/chars({0}))", STR)
        case "set", [_]:
            return Operation((items,), Type("set", [item]), "py/unique_{item}({0})", item)
        case "int", ["bool"]:
            return Operation((BOOL,), INT, "u24/to_i24")
        case "int", ["str"]:
            return Operation((STR,), INT, "py/str_to_int")
        case "int", [_]:
            return Operation((INT,), INT, "")
        case "str", ["str"]:
            return Operation((STR,), STR, "")
        case "str", ["int" | "var"]:
            return Operation((INT,), STR, "py/int_to_str")
        case "ord", [_]:
            return Operation((STR,), INT, "py/ord")
        case "chr", [_]:
            return Operation((INT,), STR, "py/chr")
        case "pow", [_, _]:
            return Operation((INT, INT), INT, "py/pow")
        case "divmod", [_, _]:
            return Operation((INT, INT), tuple_of([INT, INT]), "py/divmod")
        case "range", [_]:
            return Operation((INT,), list_of(INT), "py/range(+0, {0}, +1)")
        case "range", [_, _]:
            return Operation((INT, INT), list_of(INT), "py/range({0}, {1}, +1)")
        case "range", [_, _, _]:
            return Operation((INT, INT, INT), list_of(INT), "py/range")
        case "enumerate", ["str"]:
            return Operation((STR,), list_of(tuple_of([INT, STR])), "py/enumerate(py/chars({0}), +0)")
        case "enumerate", [_]:
            return Operation((items,), list_of(tuple_of([INT, item])), "py/enumerate({0}, +0)")
        case "zip", [a, b]:
            left, right = STR if a == "str" else var(), STR if b == "str" else var()
            needs = (STR if a == "str" else list_of(left), STR if b == "str" else list_of(right))
            first = "py/chars({0})" if a == "str" else "{0}"
            second = "py/chars({1})" if b == "str" else "{1}"
            return Operation(needs, list_of(tuple_of([left, right])), f"py/zip({first}, {second})")
    raise Unsupported(node, f"{name}({', '.join(show(typ) for typ in types)})")


def method(node: ast.Call, name: str, types: Sequence[Type]) -> Operation:
    """The operation of a method that returns a value; `types[0]` is the object's type."""
    kinds = [prune(typ).kind for typ in types]
    match name, kinds:
        case (("lower" | "upper" | "swapcase"), ["str"]):
            return Operation((STR,), STR, f"py/{name}")
        case _, ["str"] if name in _STR_TESTS:
            return Operation((STR,), BOOL, f"py/{name}")
        case "startswith", ["str", _]:
            return Operation((STR, STR), BOOL, "py/str_starts")
        case "endswith", ["str", _]:
            return Operation((STR, STR), BOOL, "py/str_ends")
        case "count", ["str", _]:
            return Operation((STR, STR), INT, "py/str_count")
        case "join", ["str", "str"]:
            return Operation((STR, STR), STR, "py/join({0}, py/chars({1}))")
        case "join", ["str", _]:
            return Operation((STR, list_of(STR)), STR, "py/join")
        case (("count" | "index"), ["list", _]):
            item = var()
            return Operation((list_of(item), item), INT, f"py/{name}_{{item}}({{0}}, {{1}})", item)
    of = f" of {show(types[0])}" if types else ""
    raise Unsupported(node, f"method '{name}'{of}")
