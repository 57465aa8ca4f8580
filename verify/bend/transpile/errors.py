"""What the transpiler refuses, always by name and line."""

from __future__ import annotations

import ast


class Unsupported(ValueError):
    """A construct outside the subset. `line` is that of the Python source, 0 when it concerns the whole
    program."""

    def __init__(self, node: ast.AST | None, what: str) -> None:
        self.line = getattr(node, "lineno", 0)
        self.what = what
        super().__init__(f"line {self.line}: {what}" if self.line else what)
