"""Statements to Bend: every place that control can reach from two sides becomes a definition of its own.

A loop is a definition that calls itself with the variables it carries; what follows a branch or a `break`
is one that gets the variables it reads. With that, an early `return` is simply a return, and every block
ends in one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from verify.bend.transpile.counter import advance, counted
from verify.bend.transpile.errors import Unsupported
from verify.bend.transpile.express import Expressions
from verify.bend.transpile.flow import after, binds, leaves, reads
from verify.bend.transpile.jump import Jump, Loop
from verify.bend.transpile.pytypes import INT, Type, bend, list_of, prune
from verify.bend.transpile.writer import Writer, spelled


class Lowering:
    """One Python function."""

    def __init__(self, writer: Writer, name: str, *, entry: bool) -> None:
        self.writer = writer
        self.typed = writer.typed
        self.name = name
        self.entry = entry
        self.signature = writer.typed.functions[name]
        self.scope = writer.typed.variables[name]
        self.hidden: dict[str, Type] = {}
        self.env: set[str] = set()
        self.expressions = Expressions(writer.typed, writer.runtime, self)
        self._idents: dict[str, str] = {}
        self._count = 0

    def run(self) -> None:
        node = self.signature.node
        parameters = [arg.arg for arg in node.args.args]
        lines: list[str] = []
        self.block(node.body, set(parameters), Jump("", []), None, lines)
        pairs = [(self.ident(name), self.type_of(name)) for name in parameters]
        if not pairs and not self.entry:
            pairs = [("unit", "i24")]
        self.define(self.function(self.name), pairs, bend(self.signature.result), lines)

    def ident(self, name: str) -> str:
        if name not in self._idents:
            self._idents[name] = spelled(name, set(self._idents.values()))
        return self._idents[name]

    def function(self, name: str) -> str:
        return self.writer.function(name)

    def fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}" if stem == "t" else f"{self.function(self.name)}/{stem}{self._count}"

    def bound(self) -> set[str]:
        return self.env

    def within(self, names: set[str]) -> Callable[[], None]:
        """Enter a scope where exactly `names` are bound; the result leaves it."""
        outer, self.env = self.env, set(names)

        def leave() -> None:
            self.env = outer

        return leave

    def type_of(self, name: str) -> str:
        return bend(self.hidden[name] if name in self.hidden else self.scope[name])

    def define(self, name: str, parameters: list[tuple[str, str]], result: str, body: list[str]) -> None:
        listed = ", ".join(f"{each}: {typ}" for each, typ in parameters)
        head = f"def {name}({listed}) -> {result}:"
        self.writer.definitions.append("\n".join([head, *("  " + line for line in body)]) + "\n")

    def block(
        self, body: Sequence[ast.stmt], bound: set[str], then: Jump, loop: Loop | None, out: list[str]
    ) -> None:
        """Lower `body`, entered with `bound` names, continuing at `then`."""
        self.env = set(bound)
        for at, node in enumerate(body):
            rest = body[at + 1 :]
            match node:
                case ast.Return(value) if value is not None:
                    out.append(f"return {self.expressions.fitted(value, self.signature.result, out)}")
                    return
                case ast.Break() if loop is not None and loop.leave is not None:
                    self.jump(loop.leave, node, out)
                    return
                case ast.Continue() if loop is not None:
                    self.jump(loop.again, node, out)
                    return
                case ast.If():
                    self.branch(node, rest, then, loop, out)
                    return
                case ast.While():
                    self.loop_while(node, rest, then, loop, out)
                    return
                case ast.For():
                    self.loop_for(node, rest, then, loop, out)
                    return
                case ast.Assign():
                    self.assign(node, out)
                case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), method), args)):
                    self.mutate(name, method, args, out)
                case ast.Expr(ast.Constant()) | ast.Pass():
                    pass
                case _:
                    raise Unsupported(node, type(node).__name__.lower())
        self.jump(then, body[-1] if body else None, out)

    def jump(self, to: Jump, node: ast.AST | None, out: list[str]) -> None:
        if not to.target:
            raise Unsupported(
                node or self.signature.node, f"'{self.name}' may end here without a return (None)"
            )
        for name in to.variables:
            if name not in self.env:
                raise Unsupported(node, f"'{name}', which may not be assigned on every way here")
        out.append(f"return {to.target}({', '.join(map(self.ident, to.variables)) or '+0'})")

    def assign(self, node: ast.Assign, out: list[str]) -> None:
        match node.targets:
            case [ast.Subscript(value=ast.Name(name) as items, slice=index)]:
                place = self.expressions.number(index, out)
                item = self.typed.of(items).args[0]
                value = self.expressions.fitted(node.value, item, out)
                out.append(f"{self.ident(name)} = py/set({self.ident(name)}, {place}, {value})")
                return
        if len(node.targets) == 1:
            wanted = self.typed.expressions.get(id(node.targets[0]))
            if wanted is None:
                value = self.expressions.lower(node.value, out)
            else:
                value = self.expressions.fitted(node.value, wanted, out)
            out.extend(self.expressions.bind(node.targets[0], value))
        else:
            shared = self.fresh("t")
            out.append(f"{shared} = {self.expressions.lower(node.value, out)}")
            for target in node.targets:
                out.extend(self.expressions.bind(target, shared))
        for target in node.targets:
            self.env |= binds(target)

    def mutate(self, name: str, method: str, args: list[ast.expr], out: list[str]) -> None:
        if name not in self.env:
            raise Unsupported(args[0] if args else None, f"'{name}', which may not be assigned yet")
        me = self.ident(name)
        match method, args:
            case "append", [value]:
                item = prune(self.scope[name]).args[0]
                out.append(f"{me} = py/append({me}, {self.expressions.fitted(value, item, out)})")
            case "extend", [value]:
                out.append(f"{me} = py/concat({me}, {self.expressions.lower(value, out)})")
            case "sort", []:
                out.append(f"{me} = py/sort({me})")
            case _:
                out.append(f"{me} = py/reverse({me})")

    def branch(
        self, node: ast.If, rest: Sequence[ast.stmt], then: Jump, loop: Loop | None, out: list[str]
    ) -> None:
        test = self.expressions.truth(node.test, out)
        bound = set(self.env)
        ends = after(node.body, bound), after(node.orelse, bound)
        if rest and None not in ends:
            left, right = ends
            assert left is not None
            assert right is not None
            then = self.after(rest, left & right, then, loop)
            rest = []
        for head, body in ((f"if {test}:", node.body), ("else:", node.orelse)):
            inner: list[str] = []
            self.block([*body, *rest] if after(body, bound) is not None else body, bound, then, loop, inner)
            out.append(head)
            out.extend("  " + line for line in inner)

    def after(self, rest: Sequence[ast.stmt], bound: set[str], then: Jump, loop: Loop | None) -> Jump:
        """A definition for `rest`, entered with `bound` names."""
        name = self.fresh("after")
        needs = self.needs(rest, bound, then, loop)
        self.piece(name, needs, lambda out: self.block(rest, set(needs), then, loop, out))
        return Jump(name, needs)

    def needs(self, rest: Sequence[ast.AST], bound: set[str], then: Jump, loop: Loop | None) -> list[str]:
        """Of the `bound` names, those that `rest` and what may follow it read."""
        wanted = reads(rest) | then.reads
        if loop is not None:
            wanted |= loop.again.reads | (loop.leave.reads if loop.leave else set())
        return sorted(bound & wanted)

    def piece(self, name: str, variables: list[str], fill: Callable[[list[str]], None]) -> None:
        """Define `name` over `variables` with the body that `fill` writes."""
        outer = self.env
        lines: list[str] = []
        self.env = set(variables)
        fill(lines)
        self.env = outer
        pairs = [(self.ident(each), self.type_of(each)) for each in variables] or [("unit", "i24")]
        self.define(name, pairs, bend(self.signature.result), lines)

    def loop_while(
        self, node: ast.While, rest: Sequence[ast.stmt], then: Jump, loop: Loop | None, out: list[str]
    ) -> None:
        bound = set(self.env)
        leave = self.after(rest, bound, then, loop) if leaves(node.body) else None
        name = self.fresh("loop")
        variables = self.carried([node.test, *node.body], rest, bound, then, loop)
        again = Jump(name, variables)

        def fill(lines: list[str]) -> None:
            forever = isinstance(node.test, ast.Constant) and node.test.value is True
            if forever:
                self.block(node.body, set(variables), again, Loop(again, leave), lines)
                return
            test = self.expressions.truth(node.test, lines)
            inner: list[str] = []
            self.block(node.body, set(variables), again, Loop(again, leave), inner)
            lines.extend([f"if {test}:", *("  " + line for line in inner), "else:"])
            self.exit(leave, rest, variables, then, loop, lines)

        self.piece(name, variables, fill)
        self.jump(again, node, out)

    def exit(
        self,
        leave: Jump | None,
        rest: Sequence[ast.stmt],
        variables: list[str],
        then: Jump,
        loop: Loop | None,
        lines: list[str],
        indent: str = "  ",
    ) -> None:
        """The way out of a loop whose condition failed: what `break` does too, or the rest in place."""
        inner: list[str] = []
        self.env = set(variables)
        if leave is not None:
            self.jump(leave, None, inner)
        else:
            self.block(rest, set(variables), then, loop, inner)
        lines.extend(indent + line for line in inner)

    def carried(
        self, body: Sequence[ast.AST], rest: Sequence[ast.AST], bound: set[str], then: Jump, loop: Loop | None
    ) -> list[str]:
        return sorted(bound & (reads(body) | set(self.needs(rest, bound, then, loop))))

    def loop_for(
        self, node: ast.For, rest: Sequence[ast.stmt], then: Jump, loop: Loop | None, out: list[str]
    ) -> None:
        """Over a range with a constant step: a counter. Over anything else: what is left of the list."""
        bound = set(self.env)
        counts = counted(node.iter, lambda part: self.expressions.number(part, out))
        state = f"left {self._count}"
        self._count += 1
        extra = {state: INT, f"{state} stop": INT} if counts else {state: list_of(self.typed.item(node.iter))}
        if counts:
            start, stop, step = counts
            out.append(f"{self.ident(state)} = {start}")
            out.append(f"{self.ident(f'{state} stop')} = {stop}")
        else:
            out.append(f"{self.ident(state)} = {self.expressions.items(node.iter, out)}")
        self.hidden |= extra
        leave = self.after(rest, bound, then, loop) if leaves(node.body) else None
        name = self.fresh("loop")
        variables = [*self.carried(node.body, rest, bound, then, loop), *extra]
        again = Jump(name, variables)
        targets = binds(node.target)
        me = self.ident(state)

        def fill(lines: list[str]) -> None:
            inner: list[str] = []
            if counts:
                limit = self.ident(f"{state} stop")
                inner.extend(self.expressions.bind(node.target, me))
                inner.append(f"{me} = {advance(me, step)}")
            else:
                inner.extend(self.expressions.bind(node.target, f"{me}.head"))
                inner.append(f"{me} = {me}.tail")
            self.block(node.body, set(variables) | targets, again, Loop(again, leave), inner)
            carried = [each for each in variables if each not in extra]
            if counts:
                lines.append(f"if {me} {'<' if step > 0 else '>'} {limit}:")
                lines.extend("  " + line for line in inner)
                lines.append("else:")
                self.exit(leave, rest, carried, then, loop, lines)
            else:
                lines.extend([f"match {me}:", "  case List/Nil:"])
                self.exit(leave, rest, carried, then, loop, lines, "    ")
                lines.extend(["  case List/Cons:", *("    " + line for line in inner)])

        self.env |= set(extra)
        self.piece(name, variables, fill)
        self.jump(again, node, out)
