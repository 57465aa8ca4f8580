"""Python's operations as Bend definitions, put into a program when it uses them.

Arithmetic is checked: HVM's integers have 24 bits and wrap silently, Python's do not. `py/add` and its kin divide by
zero with `%` when a result leaves +-8388607, so an overflow ends the program with a message of its own instead of a
wrong answer; what raises in Python (an index out of range, a division by zero) divides by zero with `/`.
"""

from __future__ import annotations

import re

OVERFLOW_MESSAGE = "attempt to calculate the remainder with a divisor of zero"

_HELPERS = '''
def py/overflow(x: i24) -> i24:
  return +1 % (x - x)

def py/raise(x: i24) -> Any:
  return +1 / (x - x)

def py/add(a: i24, b: i24) -> i24:
  s = a + b
  if ((a ^ s) & (b ^ s)) < +0:
    return py/overflow(s)
  else:
    return s

def py/sub(a: i24, b: i24) -> i24:
  s = a - b
  if ((a ^ b) & (a ^ s)) < +0:
    return py/overflow(s)
  else:
    return s

def py/mul(a: i24, b: i24) -> i24:
  if b == +0:
    return +0
  else:
    s = a * b
    if (s / b) == a:
      if s == -8388608:
        return py/overflow(s)
      else:
        return s
    else:
      return py/overflow(s)

def py/floordiv(a: i24, b: i24) -> i24:
  q = a / b
  r = a - (q * b)
  if r == +0:
    return q
  else:
    if (r ^ b) < +0:
      return q - +1
    else:
      return q

def py/mod(a: i24, b: i24) -> i24:
  q = a / b
  r = a - (q * b)
  if r == +0:
    return r
  else:
    if (r ^ b) < +0:
      return r + b
    else:
      return r

def py/pow(a: i24, n: i24) -> i24:
  if n < +0:
    return py/raise(n)
  else:
    return py/pow_go(a, n)

def py/pow_go(a: i24, n: i24) -> i24:
  if n == +0:
    return +1
  else:
    return py/mul(a, py/pow_go(a, n - +1))

def py/shl(a: i24, n: i24) -> i24:
  return py/mul(a, py/pow(+2, n))

def py/shr(a: i24, n: i24) -> i24:
  return py/floordiv(a, py/pow(+2, n))

def py/abs(a: i24) -> i24:
  if a < +0:
    return +0 - a
  else:
    return a

def py/min2(a: i24, b: i24) -> i24:
  if b < a:
    return b
  else:
    return a

def py/max2(a: i24, b: i24) -> i24:
  if b > a:
    return b
  else:
    return a

def py/divmod(a: i24, b: i24) -> (i24, i24):
  return (py/floordiv(a, b), py/mod(a, b))

def py/len(xs: List(T)) -> i24:
  return py/len_go(xs, +0)

def py/len_go(xs: List(T), n: i24) -> i24:
  match xs:
    case List/Nil:
      return n
    case List/Cons:
      return py/len_go(xs.tail, n + +1)

def py/nonempty(xs: List(T)) -> u24:
  match xs:
    case List/Nil:
      return 0
    case List/Cons:
      return 1

def py/at(xs: List(T), i: i24) -> T:
  match xs:
    case List/Nil:
      return py/raise(i)
    case List/Cons:
      if i == +0:
        return xs.head
      else:
        return py/at(xs.tail, i - +1)

def py/get(xs: List(T), i: i24) -> T:
  if i < +0:
    j = i + py/len(xs)
    if j < +0:
      return py/raise(j)
    else:
      return py/at(xs, j)
  else:
    return py/at(xs, i)

def py/put(xs: List(T), i: i24, x: T) -> List(T):
  match xs:
    case List/Nil:
      return py/raise(i)
    case List/Cons:
      if i == +0:
        return List/Cons(x, xs.tail)
      else:
        return List/Cons(xs.head, py/put(xs.tail, i - +1, x))

def py/set(xs: List(T), i: i24, x: T) -> List(T):
  if i < +0:
    j = i + py/len(xs)
    if j < +0:
      return py/raise(j)
    else:
      return py/put(xs, j, x)
  else:
    return py/put(xs, i, x)

def py/append(xs: List(T), x: T) -> List(T):
  match xs:
    case List/Nil:
      return List/Cons(x, List/Nil)
    case List/Cons:
      return List/Cons(xs.head, py/append(xs.tail, x))

def py/concat(xs: List(T), ys: List(T)) -> List(T):
  match xs:
    case List/Nil:
      return ys
    case List/Cons:
      return List/Cons(xs.head, py/concat(xs.tail, ys))

def py/repeat(xs: List(T), n: i24) -> List(T):
  if n < +1:
    return List/Nil
  else:
    return py/concat(xs, py/repeat(xs, n - +1))

def py/reverse(xs: List(T)) -> List(T):
  return py/reverse_go(xs, List/Nil)

def py/reverse_go(xs: List(T), acc: List(T)) -> List(T):
  match xs:
    case List/Nil:
      return acc
    case List/Cons:
      return py/reverse_go(xs.tail, List/Cons(xs.head, acc))

def py/drop(xs: List(T), n: i24) -> List(T):
  if n < +1:
    return xs
  else:
    match xs:
      case List/Nil:
        return List/Nil
      case List/Cons:
        return py/drop(xs.tail, n - +1)

def py/take(xs: List(T), n: i24) -> List(T):
  if n < +1:
    return List/Nil
  else:
    match xs:
      case List/Nil:
        return List/Nil
      case List/Cons:
        return List/Cons(xs.head, py/take(xs.tail, n - +1))

def py/bound(i: i24, n: i24) -> i24:
  if i < +0:
    j = i + n
    if j < +0:
      return +0
    else:
      return j
  else:
    return i

def py/slice(xs: List(T), a: i24, b: i24) -> List(T):
  n = py/len(xs)
  i = py/bound(a, n)
  j = py/bound(b, n)
  return py/take(py/drop(xs, i), j - i)

def py/slice_from(xs: List(T), a: i24) -> List(T):
  return py/drop(xs, py/bound(a, py/len(xs)))

def py/stride(xs: List(T), step: i24, skip: i24) -> List(T):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      if skip == +0:
        return List/Cons(xs.head, py/stride(xs.tail, step, step - +1))
      else:
        return py/stride(xs.tail, step, skip - +1)

def py/range(a: i24, b: i24, s: i24) -> List(i24):
  if s > +0:
    if a < b:
      return List/Cons(a, py/range(py/add(a, s), b, s))
    else:
      return List/Nil
  else:
    if s == +0:
      return py/raise(s)
    else:
      if a > b:
        return List/Cons(a, py/range(py/add(a, s), b, s))
      else:
        return List/Nil

def py/sum(xs: List(i24)) -> i24:
  return py/sum_go(xs, +0)

def py/sum_go(xs: List(i24), acc: i24) -> i24:
  match xs:
    case List/Nil:
      return acc
    case List/Cons:
      return py/sum_go(xs.tail, py/add(acc, xs.head))

def py/sum_bool(xs: List(u24)) -> i24:
  match xs:
    case List/Nil:
      return +0
    case List/Cons:
      return u24/to_i24(xs.head) + py/sum_bool(xs.tail)

def py/min(xs: List(i24)) -> i24:
  match xs:
    case List/Nil:
      return py/raise(+0)
    case List/Cons:
      return py/min_go(xs.tail, xs.head)

def py/min_go(xs: List(i24), best: i24) -> i24:
  match xs:
    case List/Nil:
      return best
    case List/Cons:
      return py/min_go(xs.tail, py/min2(best, xs.head))

def py/max(xs: List(i24)) -> i24:
  match xs:
    case List/Nil:
      return py/raise(+0)
    case List/Cons:
      return py/max_go(xs.tail, xs.head)

def py/max_go(xs: List(i24), best: i24) -> i24:
  match xs:
    case List/Nil:
      return best
    case List/Cons:
      return py/max_go(xs.tail, py/max2(best, xs.head))

def py/any(xs: List(u24)) -> u24:
  match xs:
    case List/Nil:
      return 0
    case List/Cons:
      if xs.head:
        return 1
      else:
        return py/any(xs.tail)

def py/all(xs: List(u24)) -> u24:
  match xs:
    case List/Nil:
      return 1
    case List/Cons:
      if xs.head:
        return py/all(xs.tail)
      else:
        return 0

def py/enumerate(xs: List(T), i: i24) -> List((i24, T)):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      return List/Cons((i, xs.head), py/enumerate(xs.tail, i + +1))

def py/zip(xs: List(A), ys: List(B)) -> List((A, B)):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      match ys:
        case List/Nil:
          return List/Nil
        case List/Cons:
          return List/Cons((xs.head, ys.head), py/zip(xs.tail, ys.tail))

def py/sort(xs: List(i24)) -> List(i24):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      return py/insert(xs.head, py/sort(xs.tail))

def py/insert(x: i24, xs: List(i24)) -> List(i24):
  match xs:
    case List/Nil:
      return List/Cons(x, List/Nil)
    case List/Cons:
      if xs.head < x:
        return List/Cons(xs.head, py/insert(x, xs.tail))
      else:
        return List/Cons(x, List/Cons(xs.head, xs.tail))

def py/codes(s: String) -> List(i24):
  match s:
    case String/Nil:
      return List/Nil
    case String/Cons:
      return List/Cons(u24/to_i24(s.head), py/codes(s.tail))

def py/chars(s: String) -> List(String):
  match s:
    case String/Nil:
      return List/Nil
    case String/Cons:
      return List/Cons(String/Cons(s.head, String/Nil), py/chars(s.tail))

def py/str_len(s: String) -> i24:
  return py/str_len_go(s, +0)

def py/str_len_go(s: String, n: i24) -> i24:
  match s:
    case String/Nil:
      return n
    case String/Cons:
      return py/str_len_go(s.tail, n + +1)

def py/str_nonempty(s: String) -> u24:
  match s:
    case String/Nil:
      return 0
    case String/Cons:
      return 1

def py/str_concat(a: String, b: String) -> String:
  match a:
    case String/Nil:
      return b
    case String/Cons:
      return String/Cons(a.head, py/str_concat(a.tail, b))

def py/str_repeat(s: String, n: i24) -> String:
  if n < +1:
    return String/Nil
  else:
    return py/str_concat(s, py/str_repeat(s, n - +1))

def py/join(sep: String, xs: List(String)) -> String:
  match xs:
    case List/Nil:
      return String/Nil
    case List/Cons:
      return py/str_concat(xs.head, py/join_go(sep, xs.tail))

def py/join_go(sep: String, xs: List(String)) -> String:
  match xs:
    case List/Nil:
      return String/Nil
    case List/Cons:
      return py/str_concat(sep, py/str_concat(xs.head, py/join_go(sep, xs.tail)))

def py/unchars(xs: List(String)) -> String:
  match xs:
    case List/Nil:
      return String/Nil
    case List/Cons:
      return py/str_concat(xs.head, py/unchars(xs.tail))

def py/str_get(s: String, i: i24) -> String:
  return py/get(py/chars(s), i)

def py/str_slice(s: String, a: i24, b: i24) -> String:
  return py/unchars(py/slice(py/chars(s), a, b))

def py/str_slice_from(s: String, a: i24) -> String:
  return py/unchars(py/slice_from(py/chars(s), a))

def py/str_stride(s: String, step: i24, skip: i24) -> String:
  return py/unchars(py/stride(py/chars(s), step, skip))

def py/str_reverse(s: String) -> String:
  return py/str_reverse_go(s, String/Nil)

def py/str_reverse_go(s: String, acc: String) -> String:
  match s:
    case String/Nil:
      return acc
    case String/Cons:
      return py/str_reverse_go(s.tail, String/Cons(s.head, acc))

def py/str_starts(s: String, p: String) -> u24:
  match p:
    case String/Nil:
      return 1
    case String/Cons:
      match s:
        case String/Nil:
          return 0
        case String/Cons:
          if s.head == p.head:
            return py/str_starts(s.tail, p.tail)
          else:
            return 0

def py/str_ends(s: String, p: String) -> u24:
  return py/str_starts(py/str_reverse(s), py/str_reverse(p))

def py/str_in(p: String, s: String) -> u24:
  if py/str_starts(s, p):
    return 1
  else:
    match s:
      case String/Nil:
        return 0
      case String/Cons:
        return py/str_in(p, s.tail)

def py/ord(s: String) -> i24:
  match s:
    case String/Nil:
      return py/raise(+0)
    case String/Cons:
      if py/str_nonempty(s.tail):
        return py/raise(+0)
      else:
        return u24/to_i24(s.head)

def py/chr(n: i24) -> String:
  if n < +0:
    return py/raise(n)
  else:
    if n > +1114111:
      return py/raise(n)
    else:
      return String/Cons(i24/to_u24(n), String/Nil)

def py/int_to_str(n: i24) -> String:
  if n < +0:
    return String/Cons(45, py/digits(+0 - n, String/Nil))
  else:
    return py/digits(n, String/Nil)

def py/digits(n: i24, acc: String) -> String:
  rest = String/Cons(i24/to_u24(+48 + (n % +10)), acc)
  if n < +10:
    return rest
  else:
    return py/digits(n / +10, rest)

def py/str_to_int(s: String) -> i24:
  match s:
    case String/Nil:
      return py/raise(+0)
    case String/Cons:
      if s.head == 45:
        return +0 - py/str_to_nat(s.tail)
      else:
        return py/str_to_nat(String/Cons(s.head, s.tail))

def py/str_to_nat(s: String) -> i24:
  if py/str_nonempty(s):
    return py/str_to_nat_go(s, +0)
  else:
    return py/raise(+0)

def py/str_to_nat_go(s: String, acc: i24) -> i24:
  match s:
    case String/Nil:
      return acc
    case String/Cons:
      if s.head < 48:
        return py/raise(acc)
      else:
        if s.head > 57:
          return py/raise(acc)
        else:
          return py/str_to_nat_go(s.tail, py/add(py/mul(acc, +10), u24/to_i24(s.head - 48)))

def py/is_lower(c: u24) -> u24:
  return (c > 96) & (c < 123)

def py/is_upper(c: u24) -> u24:
  return (c > 64) & (c < 91)

def py/lower(s: String) -> String:
  match s:
    case String/Nil:
      return String/Nil
    case String/Cons:
      c = py/ascii(s.head)
      return String/Cons(c + (py/is_upper(c) * 32), py/lower(s.tail))

def py/upper(s: String) -> String:
  match s:
    case String/Nil:
      return String/Nil
    case String/Cons:
      c = py/ascii(s.head)
      return String/Cons(c - (py/is_lower(c) * 32), py/upper(s.tail))

def py/swapcase(s: String) -> String:
  match s:
    case String/Nil:
      return String/Nil
    case String/Cons:
      c = py/ascii(s.head)
      return String/Cons((c - (py/is_lower(c) * 32)) + (py/is_upper(c) * 32), py/swapcase(s.tail))

def py/ascii(c: u24) -> u24:
  if c > 127:
    return 1 % (c - c)
  else:
    return c

def py/isalpha(s: String) -> u24:
  return py/str_nonempty(s) & py/isalpha_go(s)

def py/isalpha_go(s: String) -> u24:
  match s:
    case String/Nil:
      return 1
    case String/Cons:
      c = py/ascii(s.head)
      if py/is_lower(c) | py/is_upper(c):
        return py/isalpha_go(s.tail)
      else:
        return 0

def py/isdigit(s: String) -> u24:
  return py/str_nonempty(s) & py/isdigit_go(s)

def py/isdigit_go(s: String) -> u24:
  match s:
    case String/Nil:
      return 1
    case String/Cons:
      c = py/ascii(s.head)
      if (c > 47) & (c < 58):
        return py/isdigit_go(s.tail)
      else:
        return 0

def py/isupper(s: String) -> u24:
  return py/cased(s, 0, 1)

def py/islower(s: String) -> u24:
  return py/cased(s, 0, 0)

def py/cased(s: String, seen: u24, upper: u24) -> u24:
  match s:
    case String/Nil:
      return seen
    case String/Cons:
      c = py/ascii(s.head)
      u = py/is_upper(c)
      l = py/is_lower(c)
      if u | l:
        if u == upper:
          return py/cased(s.tail, 1, upper)
        else:
          return 0
      else:
        return py/cased(s.tail, seen, upper)

def py/str_count(s: String, p: String) -> i24:
  if py/str_nonempty(p):
    return py/str_count_go(s, p, +0, 0)
  else:
    return py/str_len(s) + +1

def py/str_count_go(s: String, p: String, n: i24, skip: u24) -> i24:
  match s:
    case String/Nil:
      return n
    case String/Cons:
      if skip:
        return py/str_count_go(s.tail, p, n, skip - 1)
      else:
        if py/str_starts(String/Cons(s.head, s.tail), p):
          return py/str_count_go(s.tail, p, n + +1, i24/to_u24(py/str_len(p)) - 1)
        else:
          return py/str_count_go(s.tail, p, n, 0)

def py/eq_int(a: i24, b: i24) -> u24:
  return a == b

def py/eq_bool(a: u24, b: u24) -> u24:
  return a == b

def py/eq_str(a: String, b: String) -> u24:
  match a:
    case String/Nil:
      match b:
        case String/Nil:
          return 1
        case String/Cons:
          return 0
    case String/Cons:
      match b:
        case String/Nil:
          return 0
        case String/Cons:
          if a.head == b.head:
            return py/eq_str(a.tail, b.tail)
          else:
            return 0

def py/lt_str(a: String, b: String) -> u24:
  match b:
    case String/Nil:
      return 0
    case String/Cons:
      match a:
        case String/Nil:
          return 1
        case String/Cons:
          if a.head == b.head:
            return py/lt_str(a.tail, b.tail)
          else:
            return a.head < b.head
'''

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
"""

_DEF = re.compile(r"^def (py/[A-Za-z0-9_]+)", re.MULTILINE)
_CALL = re.compile(r"py/[A-Za-z0-9_]+")


def _split(text: str) -> dict[str, str]:
    parts = [part for part in re.split(r"\n(?=def )", text) if part.strip()]
    return {found.group(1): part.strip() + "\n" for part in parts if (found := _DEF.search(part))}


_LIBRARY = _split(_HELPERS)


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
