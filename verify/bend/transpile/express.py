"""Expressions to Bend. What must be lazy (and, or, conditional expressions) becomes an if statement before
its use.

`lower(node, out)` returns the text of a Bend expression and appends to `out` the statements that have to
come first.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Protocol

from verify.bend.transpile import builtin
from verify.bend.transpile.errors import Unsupported
from verify.bend.transpile.flow import binds, reads
from verify.bend.transpile.infer import Typed, reverse
from verify.bend.transpile.pytypes import INT, Type, bend, mangle, prune, unify
from verify.bend.transpile.runtime import Runtime
from verify.bend.types import string_literal

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


class Expressions:
    def __init__(self, typed: Typed, runtime: Runtime, names: Names) -> None:
        self.typed = typed
        self.runtime = runtime
        self.names = names

    def lower(self, node: ast.expr, out: list[str]) -> str:
        match node:
            case ast.Constant(bool(value)):
                return str(int(value))
            case ast.Constant(int(value)):
                return f"{value:+d}"
            case ast.Constant(str(value)):
                return string_literal(value) if value else "String/Nil"
            case ast.Name(name):
                if name not in self.names.bound():
                    raise Unsupported(node, f"'{name}', which may not be assigned yet")
                return self.names.ident(name)
            case ast.BinOp(left, _, right):
                return self._binary(node, left, right, out)
            case ast.UnaryOp(ast.Not(), operand):
                return f"({self.truth(operand, out)} == 0)"
            case ast.UnaryOp(ast.USub(), ast.Constant(int(value))):
                return f"{-value:+d}"
            case ast.UnaryOp(ast.USub(), operand):
                return f"(+0 - {self.number(operand, out)})"
            case ast.UnaryOp(ast.Invert(), operand):
                return f"(-1 - {self.number(operand, out)})"
            case ast.UnaryOp(_, operand):
                return self.number(operand, out)
            case ast.BoolOp(operator, values):
                return self._boolean(isinstance(operator, ast.And), list(values), out)
            case ast.Compare(left, operators, rights):
                return self._compare(node, [left, *rights], operators, out)
            case ast.IfExp(test, body, orelse):
                return self._choose(
                    self.truth(test, out), lambda o: self.lower(body, o), lambda o: self.lower(orelse, o), out
                )
            case ast.List(elements):
                return (
                    "[" + ", ".join(self.lower(each, out) for each in elements) + "]"
                    if elements
                    else "List/Nil"
                )
            case ast.Tuple(elements):
                return "(" + ", ".join(self.lower(each, out) for each in elements) + ")"
            case ast.Subscript():
                return self._subscript(node, out)
            case ast.ListComp():
                return self._comprehension(node, out)
            case ast.Call():
                return self._call(node, out)
        raise Unsupported(node, type(node).__name__)

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

    def _subscript(self, node: ast.Subscript, out: list[str]) -> str:
        value = self.lower(node.value, out)
        typ = self.typed.of(node.value)
        stem = "py/str_" if typ.kind == "str" else "py/"
        if isinstance(node.slice, ast.Slice):
            return self._slice(node.slice, value, stem, out)
        if typ.kind == "tuple":
            assert isinstance(node.slice, ast.Constant)
            parts = [self.names.fresh("t") for _ in typ.args]
            out.append(f"({', '.join(parts)}) = {value}")
            return parts[int(node.slice.value)]  # type: ignore[arg-type]  # `infer` let only ints through
        return self._use(f"{stem}get", value, self.number(node.slice, out))

    def _slice(self, piece: ast.Slice, value: str, stem: str, out: list[str]) -> str:
        step = 1
        if piece.step is not None:
            match piece.step:
                case ast.Constant(int(step)) if step > 0:
                    pass
                case ast.UnaryOp(ast.USub(), ast.Constant(1)) if piece.lower is None and piece.upper is None:
                    return self._use(f"{stem}reverse", value)
                case _:
                    raise Unsupported(piece.step, "a step other than a positive constant or a plain [::-1]")
        lower = self.number(piece.lower, out) if piece.lower is not None else ""
        if piece.upper is not None:
            value = self._use(f"{stem}slice", value, lower or "+0", self.number(piece.upper, out))
        elif lower:
            value = self._use(f"{stem}slice_from", value, lower)
        return self._use(f"{stem}stride", value, f"{step:+d}", "+0") if step > 1 else value

    def items(self, node: ast.expr, out: list[str]) -> str:
        """An iterable as a Bend list."""
        text = self.lower(node, out)
        return self._use("py/chars", text) if self.typed.of(node).kind == "str" else text

    def _comprehension(self, node: ast.ListComp, out: list[str]) -> str:
        generator = node.generators[0]
        items = self.items(generator.iter, out)
        made = self.names.fresh("each")
        rest = f"{made.rsplit('/', 1)[-1]}_rest"
        targets = binds(generator.target)
        inner = [node.elt, *generator.ifs, *(part for g in node.generators[1:] for part in (g.iter, *g.ifs))]
        free = sorted((reads(inner) - targets) & self.names.bound())
        arguments = [self.names.ident(name) for name in free]
        again = f"{made}({', '.join([f'{rest}.tail', *arguments])})"
        item_type = self._item_type(generator.iter)
        leave = self.names.within(targets | set(free))
        body: list[str] = []
        body.extend(self.bind(generator.target, f"{rest}.head"))
        indent = ""
        closing: list[str] = []
        for test in generator.ifs:
            lines: list[str] = []
            text = self.truth(test, lines)
            body.extend(indent + line for line in [*lines, f"if {text}:"])
            closing[:0] = [f"{indent}else:", f"{indent}  return {again}"]
            indent += "  "
        lines = []
        if node.generators[1:]:
            more = ast.copy_location(ast.ListComp(node.elt, node.generators[1:]), node)
            self.typed.expressions[id(more)] = self.typed.expressions[id(node)]
            result = f"py/concat({self.lower(more, lines)}, {again})"
        else:
            result = f"List/Cons({self.lower(node.elt, lines)}, {again})"
        body.extend(indent + line for line in [*lines, f"return {result}"])
        body.extend(closing)
        leave()
        parameters = [
            (rest, f"List({item_type})"),
            *((self.names.ident(n), self.names.type_of(n)) for n in free),
        ]
        head = [f"match {rest}:", "  case List/Nil:", "    return List/Nil", "  case List/Cons:"]
        self.names.define(
            made, parameters, bend(self.typed.of(node)), [*head, *("    " + line for line in body)]
        )
        return self._use(made, items, *arguments)

    def _item_type(self, node: ast.expr) -> str:
        typ = self.typed.of(node)
        return "String" if typ.kind == "str" else bend(typ.args[0])

    def bind(self, target: ast.expr, value: str) -> list[str]:
        """Statements that assign `value` to a name or to the names of a tuple."""
        if isinstance(target, ast.Name):
            return [f"{self.names.ident(target.id)} = {value}"]
        assert isinstance(target, ast.Tuple | ast.List)
        parts: list[str] = []
        more: list[str] = []
        for each in target.elts:
            if isinstance(each, ast.Name):
                parts.append(self.names.ident(each.id))
            else:
                parts.append(self.names.fresh("t"))
                more.extend(self.bind(each, parts[-1]))
        return [f"({', '.join(parts)}) = {value}", *more]

    def _call(self, node: ast.Call, out: list[str]) -> str:
        match node.func:
            case ast.Name(name) if name in self.typed.functions:
                signature = self.typed.functions[name]
                given = list(node.args)
                defaults = signature.node.args.defaults
                missing = len(signature.parameters) - len(given)
                given += defaults[len(defaults) - missing :] if missing else []
                texts = [self.fitted(arg, t, out) for arg, t in zip(given, signature.parameters, strict=True)]
                return self._use(self.names.function(name), *(texts or ["+0"]))
            case ast.Name(name):
                operation = builtin.call(node, name, [self.typed.of(arg) for arg in node.args])
                arguments = list(node.args)
            case ast.Attribute(value, name):
                arguments = [value, *node.args]
                operation = builtin.method(node, name, [self.typed.of(arg) for arg in arguments])
            case _:
                raise Unsupported(node, "a call of something that is not a plain name")
        for arg, needs in zip(arguments, operation.parameters, strict=True):
            if not (prune(needs).kind == "int" and self.typed.of(arg).kind == "bool"):
                unify(needs, self.typed.of(arg), arg)
        texts = [
            self.fitted(arg, needs, out) for arg, needs in zip(arguments, operation.parameters, strict=True)
        ]
        text = self._apply(operation, texts)
        if name == "sorted" and reverse(node):
            return self._use("py/reverse", text)
        return text
