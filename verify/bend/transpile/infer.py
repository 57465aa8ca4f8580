"""Types of every expression and variable of a program, found by unification.

Parameters start from the arguments of the cases (and from annotations where these say more), everything
else follows from use. A variable has one type in the whole of its function, as in Bend.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from verify.bend.transpile.errors import Unsupported
from verify.bend.transpile.expression_types import ExpressionTypes
from verify.bend.transpile.pytypes import BOOL, INT, STR, Type, list_of, tuple_of, unify, var
from verify.bend.transpile.typed import MUTATORS, Signature, Typed


def infer(functions: dict[str, ast.FunctionDef], entry: str, arguments: Sequence[Sequence[Type]]) -> Typed:
    """Type a program whose `entry` is called with `arguments`. Raises Unsupported."""
    signatures = {}
    for name, node in functions.items():
        parameters = [annotation(arg.annotation) for arg in node.args.args]
        signatures[name] = Signature(node, parameters, annotation(node.returns))
    typed = Typed(signatures)
    main = signatures[entry]
    for types in arguments:
        if len(types) > len(main.parameters):
            raise Unsupported(main.node, f"{len(types)} arguments for {len(main.parameters)} parameters")
        for parameter, typ in zip(main.parameters, types, strict=False):
            unify(parameter, typ, main.node)
    # Callees first would be best; two rounds let what the first one learned reach what it had to guess.
    for name in reversed(signatures):
        _Function(typed, name).run()
    for signature in signatures.values():
        unify(signature.result, signature.result, signature.node)
    return typed


def annotation(node: ast.expr | None) -> Type:
    """The type an annotation names, a variable where it says nothing that we use."""
    match node:
        case ast.Name("int"):
            return INT
        case ast.Name("bool"):
            return BOOL
        case ast.Name("str"):
            return STR
        case ast.Name("float"):
            raise Unsupported(node, "float")
        case ast.Subscript(ast.Name("List" | "list"), item):
            return list_of(annotation(item))
        case ast.Subscript(ast.Name("Tuple" | "tuple"), ast.Tuple(items)):
            return tuple_of([annotation(item) for item in items])
        case ast.Subscript(ast.Name(name)):
            raise Unsupported(node, f"annotation {name}[...]")
    return var()


class _Function(ExpressionTypes):
    """The statements of one function."""

    def run(self) -> None:
        self.block(self.signature.node.body)

    def block(self, body: Sequence[ast.stmt]) -> None:
        for node in body:
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Return(value=None):
                raise Unsupported(node, "a function that returns None")
            case ast.Return(value=value) if value is not None:
                self.expect(value, self.signature.result)
            case ast.Assign([ast.Subscript(value=ast.Name() as name, slice=index)], value):
                items = list_of(var())
                self.expect(name, items)
                self.expect(index, INT)
                self.expect(value, items.args[0])
            case ast.Assign(targets, value):
                typ = self.expression(value)
                for target in targets:
                    self.target(target, typ)
            case ast.If(test, body, orelse) | ast.While(test, body, orelse):
                if isinstance(node, ast.While) and orelse:
                    raise Unsupported(node, "else of a loop")
                self.expression(test)
                self.block(body)
                self.block(orelse)
            case ast.For(target, items, body, orelse):
                if orelse:
                    raise Unsupported(node, "else of a loop")
                self.target(target, self.item(items))
                self.block(body)
            case ast.Expr(ast.Call(ast.Attribute(ast.Name() as name, method), args)) if method in MUTATORS:
                self.mutation(node, name, method, args)
            case ast.Expr(ast.Constant()) | ast.Pass() | ast.Break() | ast.Continue():
                pass
            case _:
                raise Unsupported(node, _statement_name(node))

    def mutation(self, node: ast.stmt, name: ast.Name, method: str, args: list[ast.expr]) -> None:
        items = list_of(var())
        self.expect(name, items)
        match method, args:
            case "append", [value]:
                self.expect(value, items.args[0])
            case "extend", [value]:
                self.expect(value, items)
            case "sort", []:
                unify(items, list_of(INT), node)
            case "reverse", []:
                pass
            case _:
                raise Unsupported(node, f"method '{method}' with {len(args)} arguments")


def _statement_name(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return "a call whose value is not used"
    names = {
        "Try": "try",
        "With": "with",
        "Raise": "raise",
        "Delete": "del",
        "Assert": "assert",
        "Global": "global",
    }
    kind = type(node).__name__
    return names.get(kind, kind.lower())
