"""A Python program with its types, as `verify.bend.transpile.infer` finds them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from verify.bend.transpile.pytypes import Type, prune

MUTATORS = {"append", "extend", "sort", "reverse", "insert"}


@dataclass(slots=True)
class Signature:
    node: ast.FunctionDef
    parameters: list[Type]
    result: Type


@dataclass(slots=True)
class Typed:
    """A program with the type of each function, of each variable by function, and of each expression node."""

    functions: dict[str, Signature]
    variables: dict[str, dict[str, Type]] = field(default_factory=dict)
    expressions: dict[int, Type] = field(default_factory=dict)

    def of(self, node: ast.expr) -> Type:
        return prune(self.expressions[id(node)])

    def item(self, node: ast.expr) -> Type:
        """What iterating over `node` gives; of a string, strings."""
        typ = self.of(node)
        return typ if typ.kind == "str" else typ.args[0]
