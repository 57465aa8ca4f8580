"""The Bend program that a translation writes, function by function."""

from __future__ import annotations

from verify.bend.transpile.runtime import Runtime
from verify.bend.transpile.typed import Typed

_RESERVED = {
    "main", "Main", "def", "type", "object", "hvm", "import", "from", "unchecked", "checked", "if", "elif",
    "else", "match", "case", "switch", "fold", "bend", "when", "open", "use", "with", "return", "lambda",
    "for", "in", "fork", "u24", "i24", "f24", "String", "List", "Tree", "Map", "Nat", "Result", "Maybe",
    "Any", "None", "IO", "unreachable", "defer", "undefer", "defer_arg", "DiffList", "Utf8", "Math", "py",
}  # fmt: skip


def spelled(name: str, taken: set[str]) -> str:
    """A Bend variable for a Python one, unlike those that are taken."""
    plain = name.replace("__", "_").replace(" ", "").strip("_") or "u"
    text = f"{plain}_"
    while text in taken:
        text = f"{text}x_".replace("__", "_")
    return text


class Writer:
    """The Bend program as it grows."""

    def __init__(self, typed: Typed) -> None:
        self.typed = typed
        self.runtime = Runtime()
        self.definitions: list[str] = []
        self._functions: dict[str, str] = {}
        for name in typed.functions:
            plain = name.replace("__", "_")
            while plain in _RESERVED or plain in self._functions.values() or plain.startswith("IO"):
                plain += "_fn"
            self._functions[name] = plain

    def function(self, name: str) -> str:
        return self._functions[name]

    def source(self) -> str:
        program = "\n".join(self.definitions)
        return f"{program}\n{self.runtime.source(program)}"
