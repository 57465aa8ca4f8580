"""Expressions to Bend. What must be lazy (and, or, conditional expressions) becomes an if statement before
its use.

`lower(node, out)` returns the text of a Bend expression and appends to `out` the statements that have to
come first.
"""

from __future__ import annotations

import ast

from verify.bend.transpile import builtin
from verify.bend.transpile.errors import Unsupported
from verify.bend.transpile.expression_types import reverse
from verify.bend.transpile.flow import binds, reads
from verify.bend.transpile.operate import Operations
from verify.bend.transpile.pytypes import bend, prune, unify
from verify.bend.types import string_literal


class Expressions(Operations):
    """Every kind of expression."""

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
        item_type = bend(self.typed.item(generator.iter))
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
