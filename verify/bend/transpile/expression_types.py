"""Types of the expressions of one function, by unification with what the builtins need and give."""

from __future__ import annotations

import ast

from verify.bend.transpile import builtin
from verify.bend.transpile.errors import Unsupported
from verify.bend.transpile.pytypes import BOOL, INT, STR, Type, list_of, prune, show, tuple_of, unify, var
from verify.bend.transpile.typed import MUTATORS, Signature, Typed


class ExpressionTypes:
    """The scope of one function, and the type of whatever is evaluated in it."""

    def __init__(self, typed: Typed, name: str) -> None:
        self.typed = typed
        self.signature = typed.functions[name]
        self.scope: dict[str, Type] = typed.variables.setdefault(name, {})
        for arg, typ in zip(self.signature.node.args.args, self.signature.parameters, strict=True):
            self.scope[arg.arg] = typ
        for default in self.signature.node.args.defaults:
            self.expression(default)

    def target(self, target: ast.expr, typ: Type) -> None:
        match target:
            case ast.Name(name):
                unify(self.scope.setdefault(name, var()), typ, target)
                self.typed.expressions[id(target)] = typ
            case ast.Tuple(targets) | ast.List(targets):
                parts = [var() for _ in targets]
                unify(typ, tuple_of(parts), target)
                for each, part in zip(targets, parts, strict=True):
                    self.target(each, part)
            case _:
                raise Unsupported(target, f"assignment to {type(target).__name__}")

    def item(self, node: ast.expr) -> Type:
        """The type of what iterating over `node` gives."""
        typ = prune(self.expression(node))
        if typ.kind == "str":
            return STR
        if typ.kind == "set":
            raise Unsupported(node, "iteration over a set (its order is not defined)")
        item = var()
        unify(typ, list_of(item), node)
        return item

    def expect(self, node: ast.expr, typ: Type) -> None:
        found = self.expression(node)
        if prune(typ).kind == "int" and prune(found).kind == "bool":
            return
        unify(found, typ, node)

    def expression(self, node: ast.expr) -> Type:
        typ = self._expression(node)
        self.typed.expressions[id(node)] = typ
        return typ

    def _expression(self, node: ast.expr) -> Type:
        match node:
            case ast.Constant(value):
                return _constant(node, value)
            case ast.Name(name):
                if name not in self.scope:
                    raise Unsupported(node, f"name '{name}'")
                return self.scope[name]
            case ast.BinOp(left, _, right):
                operation = builtin.binary(node, self.expression(left), self.expression(right))
                for side, needs in zip((left, right), operation.parameters, strict=True):
                    self.fit(side, needs)
                return operation.result
            case ast.UnaryOp(ast.Not(), operand):
                self.expression(operand)
                return BOOL
            case ast.UnaryOp(_, operand):
                self.expect(operand, INT)
                return INT
            case ast.BoolOp(_, values):
                return self.boolean(node, values)
            case ast.Compare(left, operators, rights):
                return self.compare(node, [left, *rights], operators)
            case ast.IfExp(test, body, orelse):
                self.expression(test)
                typ = self.expression(body)
                unify(typ, self.expression(orelse), node)
                return typ
            case ast.List(elements):
                item = var()
                for each in elements:
                    unify(item, self.expression(each), each)
                return list_of(item)
            case ast.Tuple(elements):
                if len(elements) < 2:
                    raise Unsupported(node, "a tuple of fewer than two items")
                return tuple_of([self.expression(each) for each in elements])
            case ast.Subscript():
                return self.subscript(node)
            case ast.ListComp():
                return self.comprehension(node)
            case ast.Call():
                return self.call(node)
        raise Unsupported(node, _expression_name(node))

    def fit(self, node: ast.expr, needs: Type) -> None:
        """Like `expect` for an expression that is typed already."""
        found = self.typed.expressions[id(node)]
        if prune(needs).kind == "int" and prune(found).kind == "bool":
            return
        unify(found, needs, node)

    def boolean(self, node: ast.BoolOp, values: list[ast.expr]) -> Type:
        types = [self.expression(value) for value in values]
        if any(prune(typ).kind != "bool" for typ in types):
            # Python gives an operand back, not a truth value; equal in a condition, and only there.
            for typ in types[1:]:
                if prune(typ).kind != prune(types[0]).kind:
                    return BOOL
            raise Unsupported(node, f"and/or of {show(types[0])} values (only of bools)")
        return BOOL

    def compare(self, node: ast.Compare, sides: list[ast.expr], operators: list[ast.cmpop]) -> Type:
        types = [self.expression(side) for side in sides]
        for at, operator in enumerate(operators):
            left, right = prune(types[at]), prune(types[at + 1])
            match operator:
                case ast.In() | ast.NotIn():
                    if right.kind == "str":
                        unify(left, STR, node)
                    elif right.kind == "set":
                        unify(left, right.args[0], node)
                    else:
                        unify(right, list_of(left), node)
                case ast.Is() | ast.IsNot():
                    raise Unsupported(node, "'is'")
                case _ if {left.kind, right.kind} == {"int", "bool"}:
                    pass
                case _:
                    unify(left, right, node)
                    kind = prune(left).kind
                    if not isinstance(operator, ast.Eq | ast.NotEq) and kind not in (
                        "int",
                        "bool",
                        "str",
                        "var",
                    ):
                        raise Unsupported(node, f"order of {show(left)} values")
        return BOOL

    def subscript(self, node: ast.Subscript) -> Type:
        typ = prune(self.expression(node.value))
        if isinstance(node.slice, ast.Slice):
            for part in (node.slice.lower, node.slice.upper, node.slice.step):
                if part is not None:
                    self.expect(part, INT)
            if typ.kind == "var":
                unify(typ, list_of(var()), node)
            elif typ.kind not in ("list", "str"):
                raise Unsupported(node, f"slice of {show(typ)}")
            return typ
        if typ.kind == "tuple":
            match node.slice:
                case ast.Constant(int(index)) if 0 <= index < len(typ.args):
                    self.typed.expressions[id(node.slice)] = INT
                    return typ.args[index]
            raise Unsupported(node, "a tuple's index that is not a constant")
        self.expect(node.slice, INT)
        if typ.kind == "str":
            return STR
        item = var()
        unify(typ, list_of(item), node)
        return item

    def comprehension(self, node: ast.ListComp) -> Type:
        hidden = dict(self.scope)
        for generator in node.generators:
            item = self.item(generator.iter)
            for name in (n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)):
                if name in hidden:
                    # A comprehension has a scope of its own, ours is one a function.
                    self.scope[name] = var()
            self.target(generator.target, item)
            for test in generator.ifs:
                self.expression(test)
        result = list_of(self.expression(node.elt))
        names = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        for name in names:
            self.scope.pop(name, None)
            if name in hidden:
                self.scope[name] = hidden[name]
        return result

    def call(self, node: ast.Call) -> Type:
        match node.func:
            case ast.Name(name) if name in self.typed.functions:
                return self.own(node, self.typed.functions[name])
            case ast.Name(name):
                types = [self.expression(arg) for arg in node.args]
                operation = builtin.call(node, name, types)
                if node.keywords and not (name == "sorted" and reverse(node) is not None):
                    raise Unsupported(node, f"keyword arguments of {name}")
                for arg, needs in zip(node.args, operation.parameters, strict=True):
                    self.fit(arg, needs)
                return operation.result
            case ast.Attribute(value, name):
                if name in MUTATORS:
                    raise Unsupported(node, f"method '{name}' inside an expression")
                types = [self.expression(value), *(self.expression(arg) for arg in node.args)]
                operation = builtin.method(node, name, types)
                for arg, needs in zip([value, *node.args], operation.parameters, strict=True):
                    self.fit(arg, needs)
                return operation.result
        raise Unsupported(node, "a call of something that is not a plain name")

    def own(self, node: ast.Call, signature: Signature) -> Type:
        parameters = signature.node.args
        required = len(parameters.args) - len(parameters.defaults)
        if node.keywords or not required <= len(node.args) <= len(parameters.args):
            raise Unsupported(node, f"this way of passing arguments to '{signature.node.name}'")
        for arg, needs in zip(node.args, signature.parameters, strict=False):
            self.expect(arg, needs)
        return signature.result


def reverse(node: ast.Call) -> bool | None:
    """The constant of `reverse=` in a call of sorted, None when other keywords are there."""
    match node.keywords:
        case [ast.keyword("reverse", ast.Constant(bool(value)))]:
            return value
    return None


def _constant(node: ast.Constant, value: object) -> Type:
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        if abs(value) >= 1 << 23:
            raise Unsupported(node, f"the integer {value} (24 bits)")
        return INT
    if isinstance(value, str):
        return STR
    raise Unsupported(node, f"{type(value).__name__} constant")


def _expression_name(node: ast.expr) -> str:
    names = {
        "Dict": "dict", "Set": "set literal", "DictComp": "dict comprehension",
        "SetComp": "set comprehension", "Lambda": "lambda", "JoinedStr": "f-string",
        "Attribute": "attribute", "Starred": "starred expression", "Await": "await", "Yield": "yield",
        "NamedExpr": "assignment expression",
    }  # fmt: skip
    kind = type(node).__name__
    return names.get(kind, kind)
