"""Python to Bend, for the subset in which both mean the same.

    made = transpile(source, "is_prime", [(7,), (8,)])
    made.source, made.entry

Ints (24 bits, checked), bools, strings of ASCII letters, lists and tuples; functions, recursion, if, while,
for over ranges and lists, break, continue, early returns, comprehensions, the builtins and methods of
`builtin.py`. Integers follow Python: `//` and `%` round down, an overflow of 24 bits stops the program, an
index may be negative. Everything else is refused by name and line (`Unsupported`): nothing is translated
approximately.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from verify.bend.transpile import alias
from verify.bend.transpile.desugar import functions
from verify.bend.transpile.errors import Unsupported
from verify.bend.transpile.infer import infer
from verify.bend.transpile.lower import Lowering
from verify.bend.transpile.pytypes import of_value
from verify.bend.transpile.writer import Writer

__all__ = ["Transpiled", "Unsupported", "transpile"]


@dataclass(frozen=True, slots=True)
class Transpiled:
    """Bend source and the name of the entry point in it."""

    source: str
    entry: str


def transpile(source: str, entry: str, arguments: Sequence[Sequence[Any]] = ()) -> Transpiled:
    """Translate `source`; `arguments` are those of the calls to come and fix the types of `entry`.

    Raises Unsupported for what is outside the subset, SyntaxError for what is not Python.
    """
    found = functions(source)
    if entry not in found:
        raise Unsupported(None, f"no function '{entry}'")
    reachable = _reachable(found, entry)
    typed = infer(reachable, entry, [[of_value(value) for value in call] for call in arguments])
    writer = Writer(typed)
    for name in reachable:
        alias.check(typed, name)
    for name in reachable:
        Lowering(writer, name, entry=name == entry).run()
    return Transpiled(writer.source(), writer.function(entry))


def _reachable(found: dict[str, Any], entry: str) -> dict[str, Any]:
    from verify.bend.transpile.flow import reads

    wanted, queue = [entry], [entry]
    while queue:
        for name in sorted(reads([found[queue.pop()]]) & set(found)):
            if name not in wanted:
                wanted.append(name)
                queue.append(name)
    return {name: found[name] for name in found if name in wanted}
