"""Operators and conditions to Bend. What must be lazy becomes an if statement before its use."""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from verify.bend.transpile import builtin
from verify.bend.transpile.errors import Unsupported
from verify.bend.transpile.pytypes import INT, Type, bend, mangle, prune
from verify.bend.transpile.runtime import Runtime
from verify.bend.transpile.typed import Typed

_OPEN = re.compile(r"[A-Za-z0-9]_(?![A-Za-z0-9_])|\bt[0-9]+\b|_rest\b")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class Names(Protocol):
    """What expressions need of the function around them."""

    def ident(self, name: str) -> str: ...
    def function(self, name: str) -> str: ...
    def fresh(self, stem: str) -> str: ...
    def define(self, name: str, parameters: list[tuple[str, str]], result: str, body: list[str]) -> None: ...
    def bound(self) -> set[str]: ...
    def type_of(self, name: str) -> str: ...
    def within(self, names: set[str]) -> Callable[[], None]: ...


class Operations(ABC):
    """Operators on expressions; `lower` turns an operand into Bend."""

    def __init__(self, typed: Typed, runtime: Runtime, names: Names) -> None:
        self.typed = typed
        self.runtime = runtime
        self.names = names

    @abstractmethod
    def lower(self, node: ast.expr, out: list[str]) -> str: ...

    def number(self, node: ast.expr, out: list[str]) -> str:
        """`node` as an int; a bool becomes 0 or 1."""
        return self.fitted(node, INT, out)

    def fitted(self, node: ast.expr, needs: Type, out: list[str]) -> str:
        text = self.lower(node, out)
        if prune(needs).kind == "int" and self.typed.of(node).kind == "bool":
            return f"u24/to_i24({text})"
        return text

    def truth(self, node: ast.expr, out: list[str]) -> str:
        """`node` as a condition, 0 or 1."""
        if isinstance(node, ast.BoolOp):
            return self._boolean(isinstance(node.op, ast.And), list(node.values), out)
        text = self.lower(node, out)
        match self.typed.of(node).kind:
            case "bool":
                return text
            case "str":
                return self._use("py/str_nonempty", text)
            case "list" | "set":
                return self._use("py/nonempty", text)
            case "tuple":
                return "1"
        return f"({text} != +0)"

    def total(self, node: ast.expr) -> bool:
        """Can `node` be evaluated without need, that is, does it always end and never fail?"""
        match node:
            case ast.Name(name):
                return name in self.names.bound()
            case ast.Constant():
                return True
            case ast.UnaryOp(_, operand):
                return self.total(operand)
            case ast.BoolOp(_, values):
                return all(self.total(value) for value in values)
            case ast.BinOp(left, ast.Mod(), ast.Constant(int(value))) if value:
                return self.total(left)
            case ast.Compare(left, _, rights):
                sides = [left, *rights]
                return all(self.total(side) and self.typed.of(side).kind in ("int", "bool") for side in sides)
        return False

    def equality(self, typ: Type) -> str:
        """The definition that compares two values of `typ`."""
        typ = prune(typ)
        name = mangle(typ)
        if typ.kind == "set":
            self.by_item(typ.args[0])
            return f"py/same_{mangle(typ.args[0])}"
        if typ.kind in ("list", "tuple"):
            for arg in typ.args:
                self.equality(arg)
            parts = [mangle(arg) for arg in typ.args]
            return self.runtime.add_equality(name, bend(typ), parts, is_list=typ.kind != "tuple")
        return f"py/eq_{name}"

    def by_item(self, typ: Type) -> str:
        """Make the helpers that exist once an element type; return its name in theirs."""
        self.equality(typ)
        self.runtime.add_item_helpers(mangle(typ), bend(typ))
        return mangle(typ)

    def _binary(self, node: ast.BinOp, left: ast.expr, right: ast.expr, out: list[str]) -> str:
        operation = builtin.binary(node, self.typed.of(left), self.typed.of(right))
        texts = [
            self.fitted(each, needs, out)
            for each, needs in zip((left, right), operation.parameters, strict=True)
        ]
        return self._apply(operation, texts)

    def _apply(self, operation: builtin.Operation, texts: list[str]) -> str:
        helper = operation.helper
        if not helper:
            return texts[0]
        if len(helper) == 1:
            return f"({texts[0]} {helper} {texts[1]})"
        if "{" in helper:
            item = self.by_item(operation.item) if operation.item is not None else ""
            return helper.format(*self._opened(texts), item=item)
        return self._use(helper, *texts)

    def _use(self, helper: str, *texts: str) -> str:
        return f"{helper}({', '.join(self._opened(list(texts)))})"

    def _opened(self, texts: list[str]) -> list[str]:
        """Arguments of a call, at least one of them with a variable.

        Bend turns a call without variables into a definition of its own, which is passed on unevaluated,
        and HVM may not duplicate a reference to a definition that duplicates. A variable that is not used
        prevents it.
        """
        if any(_OPEN.search(_STRING.sub("", text)) for text in texts) or not self.names.bound():
            return texts
        anything = self.names.ident(min(self.names.bound()))
        return [f"py/second({anything}, {texts[0]})", *texts[1:]]

    def _boolean(self, conjunction: bool, values: list[ast.expr], out: list[str]) -> str:
        first, rest = values[0], values[1:]
        text = self.truth(first, out)
        if not rest:
            return text
        if all(self.total(value) for value in rest):
            operator = " & " if conjunction else " | "
            return "(" + operator.join([text, *(self.truth(value, out) for value in rest)]) + ")"

        def more(inner: list[str]) -> str:
            return self._boolean(conjunction, rest, inner)

        if conjunction:
            return self._choose(text, more, lambda _: "0", out)
        return self._choose(text, lambda _: "1", more, out)

    def _choose(
        self, test: str, then: Callable[[list[str]], str], orelse: Callable[[list[str]], str], out: list[str]
    ) -> str:
        result = self.names.fresh("t")
        out.append(f"if {self._opened([test])[0]}:")
        for branch, between in ((then, "else:"), (orelse, None)):
            inner: list[str] = []
            value = branch(inner)
            out.extend("  " + line for line in [*inner, f"{result} = {value}"])
            if between:
                out.append(between)
        return result

    def _compare(
        self, node: ast.Compare, sides: list[ast.expr], operators: list[ast.cmpop], out: list[str]
    ) -> str:
        if len(sides) == 2:
            return self._relation(sides[0], sides[1], operators[0], out)
        if not all(self.total(side) for side in sides[1:-1]):
            raise Unsupported(node, "a chained comparison whose middle is not a simple value")
        parts: list[ast.expr] = []
        for at, operator in enumerate(operators):
            pair = ast.copy_location(ast.Compare(sides[at], [operator], [sides[at + 1]]), node)
            self.typed.expressions[id(pair)] = self.typed.expressions[id(node)]
            parts.append(pair)
        return self._boolean(True, parts, out)

    def _relation(self, left: ast.expr, right: ast.expr, operator: ast.cmpop, out: list[str]) -> str:
        kinds = self.typed.of(left).kind, self.typed.of(right).kind
        if isinstance(operator, ast.In | ast.NotIn):
            a, b = self.lower(left, out), self.lower(right, out)
            helper = "py/str_in" if kinds[1] == "str" else f"py/in_{self.by_item(self.typed.of(left))}"
            test = self._use(helper, a, b)
            return f"({test} == 0)" if isinstance(operator, ast.NotIn) else test
        if "int" in kinds or "var" in kinds:
            a, b = self.number(left, out), self.number(right, out)
        else:
            a, b = self.lower(left, out), self.lower(right, out)
        if kinds[0] in ("int", "bool", "var"):
            signs = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
            return f"({a} {signs[type(operator)]} {b})"
        match operator:
            case ast.Eq():
                return self._use(self.equality(self.typed.of(left)), a, b)
            case ast.NotEq():
                return f"({self._use(self.equality(self.typed.of(left)), a, b)} == 0)"
            case ast.Lt():
                return self._use("py/lt_str", a, b)
            case ast.Gt():
                return self._use("py/lt_str", b, a)
            case ast.LtE():
                return f"({self._use('py/lt_str', b, a)} == 0)"
        return f"({self._use('py/lt_str', a, b)} == 0)"
