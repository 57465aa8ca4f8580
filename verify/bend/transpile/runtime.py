"""Python's operations as Bend definitions, put into a program when it uses them.

Arithmetic is checked: HVM's integers have 24 bits and wrap silently, Python's do not. `py/add` and its kin
divide by zero with `%` when a result leaves +-8388607, so an overflow ends the program with a message of
its own instead of a wrong answer; what raises in Python (an index out of range, a division by zero) divides
by zero with `/`.
"""

from __future__ import annotations

import re
from pathlib import Path

OVERFLOW_MESSAGE = "attempt to calculate the remainder with a divisor of zero"

_EQ_LIST = """
def py/eq_{name}(a: {typ}, b: {typ}) -> u24:
  match a:
    case List/Nil:
      match b:
        case List/Nil:
          return 1
        case List/Cons:
          return 0
    case List/Cons:
      match b:
        case List/Nil:
          return 0
        case List/Cons:
          if py/eq_{item}(a.head, b.head):
            return py/eq_{name}(a.tail, b.tail)
          else:
            return 0
"""

_EQ_TUPLE = """
def py/eq_{name}(a: {typ}, b: {typ}) -> u24:
  ({lefts}) = a
  ({rights}) = b
  return {all}
"""

_BY_ITEM = """
def py/in_{item}(x: {typ}, xs: List({typ})) -> u24:
  match xs:
    case List/Nil:
      return 0
    case List/Cons:
      if py/eq_{item}(x, xs.head):
        return 1
      else:
        return py/in_{item}(x, xs.tail)

def py/count_{item}(xs: List({typ}), x: {typ}) -> i24:
  match xs:
    case List/Nil:
      return +0
    case List/Cons:
      return u24/to_i24(py/eq_{item}(x, xs.head)) + py/count_{item}(xs.tail, x)

def py/index_{item}(xs: List({typ}), x: {typ}) -> i24:
  match xs:
    case List/Nil:
      return py/raise(+0)
    case List/Cons:
      if py/eq_{item}(x, xs.head):
        return +0
      else:
        return +1 + py/index_{item}(xs.tail, x)

def py/unique_{item}(xs: List({typ})) -> List({typ}):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      if py/in_{item}(xs.head, xs.tail):
        return py/unique_{item}(xs.tail)
      else:
        return List/Cons(xs.head, py/unique_{item}(xs.tail))

def py/within_{item}(xs: List({typ}), ys: List({typ})) -> u24:
  match xs:
    case List/Nil:
      return 1
    case List/Cons:
      if py/in_{item}(xs.head, ys):
        return py/within_{item}(xs.tail, ys)
      else:
        return 0

def py/same_{item}(xs: List({typ}), ys: List({typ})) -> u24:
  return py/within_{item}(xs, ys) & py/within_{item}(ys, xs)
"""

_DEF = re.compile(r"^def (py/[A-Za-z0-9_]+)", re.MULTILINE)
_CALL = re.compile(r"py/[A-Za-z0-9_]+")


def _split(text: str) -> dict[str, str]:
    parts = [part for part in re.split(r"\n(?=def )", text) if part.strip()]
    return {found.group(1): part.strip() + "\n" for part in parts if (found := _DEF.search(part))}


_LIBRARY = _split(Path(__file__).with_name("runtime.bend").read_text("utf-8"))


class Runtime:
    """Collects the helpers of one program."""

    def __init__(self) -> None:
        self._generated: dict[str, str] = {}

    def add_equality(self, name: str, typ: str, parts: list[str], *, is_list: bool) -> str:
        """`py/eq_NAME` of a list of `parts[0]` or a tuple of `parts`."""
        if is_list:
            text = _EQ_LIST.format(name=name, typ=typ, item=parts[0])
        else:
            lefts = ", ".join(f"a{at}" for at in range(len(parts)))
            rights = ", ".join(f"b{at}" for at in range(len(parts)))
            both = " & ".join(f"py/eq_{part}(a{at}, b{at})" for at, part in enumerate(parts))
            text = _EQ_TUPLE.format(name=name, typ=typ, lefts=lefts, rights=rights, all=both)
        self._generated.update(_split(text))
        return f"py/eq_{name}"

    def add_item_helpers(self, item: str, typ: str) -> None:
        """`py/in_ITEM`, `py/count_ITEM`, `py/index_ITEM` and `py/unique_ITEM`."""
        self._generated.update(_split(_BY_ITEM.format(item=item, typ=typ)))

    def source(self, program: str) -> str:
        """The definitions that `program` needs, with what they need in turn."""
        known = _LIBRARY | self._generated
        wanted: dict[str, str] = {}
        queue = [name for name in _CALL.findall(program) if name in known]
        while queue:
            name = queue.pop()
            if name not in wanted:
                wanted[name] = known[name]
                queue += [each for each in _CALL.findall(known[name]) if each in known]
        return "\n".join(wanted[name] for name in sorted(wanted))
