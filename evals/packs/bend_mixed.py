"""Bend tasks on pairs, strings and signed numbers."""

# ruff: noqa: E501 - tasks are data: a sentence or a program stays on one line

from __future__ import annotations

from evals.packs.bend_task import BendTask, lists, nat, pairs, words

_signed = nat(-500, 500)


def _task(
    name: str, text: str, signature: str, solution: str, reference: object, *draws: object, edges: object = ()
) -> BendTask:
    return BendTask(name, "mixed", signature, text, solution.strip() + "\n", reference, draws, edges)  # type: ignore[arg-type]  # one place for the lambdas


MIXED = (
    _task(
        "divide_with_rest", "Return the quotient and the remainder of a divided by b, as a pair; b is at least 1.",
        "def divide_with_rest(a: u24, b: u24) -> (u24, u24)",
        """
def divide_with_rest(a: u24, b: u24) -> (u24, u24):
  return (a / b, a % b)
""",
        divmod, nat(0, 100_000), nat(1, 99), edges=((0, 1), (7, 7)),
    ),
    _task(
        "swap", "Return the pair with its two numbers exchanged.", "def swap(p: (u24, u24)) -> (u24, u24)",
        """
def swap(p: (u24, u24)) -> (u24, u24):
  (a, b) = p
  return (b, a)
""",
        lambda p: (p[1], p[0]), pairs(nat(0, 99), nat(0, 99)),
    ),
    _task(
        "min_and_max", "Return the smaller and the larger of a and b, as a pair.",
        "def min_and_max(a: u24, b: u24) -> (u24, u24)",
        """
def min_and_max(a: u24, b: u24) -> (u24, u24):
  if a < b:
    return (a, b)
  else:
    return (b, a)
""",
        lambda a, b: (min(a, b), max(a, b)), nat(0, 99), nat(0, 99), edges=((3, 3),),
    ),
    _task(
        "sum_and_count", "Return the sum of xs and how many numbers it holds, as a pair.",
        "def sum_and_count(xs: List(u24)) -> (u24, u24)",
        """
def sum_and_count(xs: List(u24)) -> (u24, u24):
  match xs:
    case List/Nil:
      return (0, 0)
    case List/Cons:
      (total, count) = sum_and_count(xs.tail)
      return (total + xs.head, count + 1)
""",
        lambda xs: (sum(xs), len(xs)), lists(nat(0, 999)), edges=(([],),),
    ),
    _task(
        "split_by", "Return how many numbers of xs are smaller than x, and how many are not, as a pair.",
        "def split_by(xs: List(u24), x: u24) -> (u24, u24)",
        """
def split_by(xs: List(u24), x: u24) -> (u24, u24):
  match xs:
    case List/Nil:
      return (0, 0)
    case List/Cons:
      (low, high) = split_by(xs.tail, x)
      if xs.head < x:
        return (low + 1, high)
      else:
        return (low, high + 1)
""",
        lambda xs, x: (sum(v < x for v in xs), sum(v >= x for v in xs)), lists(nat(0, 9)), nat(0, 9), edges=(([], 5),),
    ),
    _task(
        "absolute", "Return the absolute value of n.", "def absolute(n: i24) -> i24",
        """
def absolute(n: i24) -> i24:
  if n < +0:
    return +0 - n
  else:
    return n
""",
        abs, _signed, edges=((0,), (-1,), (1,)),
    ),
    _task(
        "sign", "Return -1 for a negative n, 0 for zero and +1 for a positive n.", "def sign(n: i24) -> i24",
        """
def sign(n: i24) -> i24:
  if n < +0:
    return -1
  else:
    if n == +0:
      return +0
    else:
      return +1
""",
        lambda n: (n > 0) - (n < 0), _signed, edges=((0,), (-7,), (7,)),
    ),
    _task(
        "clamp", "Return n, but low when n is below low and high when it is above high; low <= high.",
        "def clamp(n: i24, low: i24, high: i24) -> i24",
        """
def clamp(n: i24, low: i24, high: i24) -> i24:
  if n < low:
    return low
  else:
    if n > high:
      return high
    else:
      return n
""",
        lambda n, low, high: max(low, min(n, high)), _signed, nat(-200, -1), nat(0, 200), edges=((0, 0, 0),),
    ),
    _task(
        "signed_sum", "Return the sum of xs; +0 for the empty list.", "def signed_sum(xs: List(i24)) -> i24",
        """
def signed_sum(xs: List(i24)) -> i24:
  match xs:
    case List/Nil:
      return +0
    case List/Cons:
      return xs.head + signed_sum(xs.tail)
""",
        sum, lists(_signed), edges=(([],),),
    ),
    _task(
        "count_negative", "Return how many numbers of xs are below zero.", "def count_negative(xs: List(i24)) -> u24",
        """
def count_negative(xs: List(i24)) -> u24:
  match xs:
    case List/Nil:
      return 0
    case List/Cons:
      if xs.head < +0:
        return 1 + count_negative(xs.tail)
      else:
        return count_negative(xs.tail)
""",
        lambda xs: sum(x < 0 for x in xs), lists(_signed), edges=(([],), ([0],)),
    ),
    _task(
        "string_size", "Return how many characters s has.", "def string_size(s: String) -> u24",
        """
def string_size(s: String) -> u24:
  match s:
    case String/Nil:
      return 0
    case String/Cons:
      return 1 + string_size(s.tail)
""",
        len, words("abc xyz"), edges=(("",),),
    ),
    _task(
        "count_char", "Return how often the character c occurs in s; c is a character code, as 97 for a.",
        "def count_char(s: String, c: u24) -> u24",
        """
def count_char(s: String, c: u24) -> u24:
  match s:
    case String/Nil:
      return 0
    case String/Cons:
      return (s.head == c) + count_char(s.tail, c)
""",
        lambda s, c: s.count(chr(c)), words("abc"), nat(97, 99), edges=(("", 97),),
    ),
    _task(
        "reverse_string", "Return s in reverse order.", "def reverse_string(s: String) -> String",
        """
def onto(s: String, done: String) -> String:
  match s:
    case String/Nil:
      return done
    case String/Cons:
      return onto(s.tail, String/Cons(s.head, done))

def reverse_string(s: String) -> String:
  return onto(s, String/Nil)
""",
        lambda s: s[::-1], words("abcdef"), edges=(("",), ("ab",)),
    ),
    _task(
        "upper", "Return s with its letters a to z made capital; other characters stay.", "def upper(s: String) -> String",
        """
def capital(c: u24) -> u24:
  if (c >= 97) & (c <= 122):
    return c - 32
  else:
    return c

def upper(s: String) -> String:
  match s:
    case String/Nil:
      return String/Nil
    case String/Cons:
      return String/Cons(capital(s.head), upper(s.tail))
""",
        str.upper, words("aB z9", 10), edges=(("",), ("az",)),
    ),
)  # fmt: skip
