"""Bend tasks on lists: recursion along the spine, accumulators, sorting."""

# ruff: noqa: E501 - tasks are data: a sentence or a program stays on one line

from __future__ import annotations

from itertools import accumulate

from evals.packs.bend_task import BendTask, lists, nat

_small, _any = nat(0, 9), nat(0, 1000)


def _task(
    name: str,
    text: str,
    signature: str,
    solution: str,
    reference: object,
    *draws: object,
    edges: object = (([],),),
) -> BendTask:
    return BendTask(name, "lists", signature, text, solution.strip() + "\n", reference, draws, edges)  # type: ignore[arg-type]  # one place for the lambdas


def _no_repeats(xs: list[int]) -> list[int]:
    return [x for i, x in enumerate(xs) if i == 0 or xs[i - 1] != x]


LISTS = (
    _task(
        "list_sum", "Return the sum of the numbers in xs; 0 for the empty list.", "def list_sum(xs: List(u24)) -> u24",
        """
def list_sum(xs: List(u24)) -> u24:
  match xs:
    case List/Nil:
      return 0
    case List/Cons:
      return xs.head + list_sum(xs.tail)
""",
        sum, lists(_any),
    ),
    _task(
        "list_size", "Return how many numbers xs holds.", "def list_size(xs: List(u24)) -> u24",
        """
def list_size(xs: List(u24)) -> u24:
  match xs:
    case List/Nil:
      return 0
    case List/Cons:
      return 1 + list_size(xs.tail)
""",
        len, lists(_any),
    ),
    _task(
        "list_max", "Return the largest number in xs; 0 for the empty list.", "def list_max(xs: List(u24)) -> u24",
        """
def larger(a: u24, b: u24) -> u24:
  if a > b:
    return a
  else:
    return b

def list_max(xs: List(u24)) -> u24:
  match xs:
    case List/Nil:
      return 0
    case List/Cons:
      return larger(xs.head, list_max(xs.tail))
""",
        lambda xs: max(xs, default=0), lists(_any),
    ),
    _task(
        "count_of", "Return how often x occurs in xs.", "def count_of(xs: List(u24), x: u24) -> u24",
        """
def count_of(xs: List(u24), x: u24) -> u24:
  match xs:
    case List/Nil:
      return 0
    case List/Cons:
      return (xs.head == x) + count_of(xs.tail, x)
""",
        lambda xs, x: xs.count(x), lists(_small), _small, edges=(([], 1), ([1, 1], 1)),
    ),
    _task(
        "contains", "Return 1 when x is in xs, else 0.", "def contains(xs: List(u24), x: u24) -> u24",
        """
def contains(xs: List(u24), x: u24) -> u24:
  match xs:
    case List/Nil:
      return 0
    case List/Cons:
      if xs.head == x:
        return 1
      else:
        return contains(xs.tail, x)
""",
        lambda xs, x: x in xs, lists(_small), _small, edges=(([], 0),),
    ),
    _task(
        "double_all", "Return the list of each number of xs times two.", "def double_all(xs: List(u24)) -> List(u24)",
        """
def double_all(xs: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      return List/Cons(xs.head * 2, double_all(xs.tail))
""",
        lambda xs: [2 * x for x in xs], lists(_any),
    ),
    _task(
        "keep_even", "Return the even numbers of xs in their order.", "def keep_even(xs: List(u24)) -> List(u24)",
        """
def keep_even(xs: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      if xs.head % 2 == 0:
        return List/Cons(xs.head, keep_even(xs.tail))
      else:
        return keep_even(xs.tail)
""",
        lambda xs: [x for x in xs if x % 2 == 0], lists(_any),
    ),
    _task(
        "join_lists", "Return the numbers of xs followed by those of ys.",
        "def join_lists(xs: List(u24), ys: List(u24)) -> List(u24)",
        """
def join_lists(xs: List(u24), ys: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return ys
    case List/Cons:
      return List/Cons(xs.head, join_lists(xs.tail, ys))
""",
        lambda xs, ys: xs + ys, lists(_any), lists(_any), edges=(([], []), ([1], []), ([], [1])),
    ),
    _task(
        "reverse_list", "Return xs in reverse order.", "def reverse_list(xs: List(u24)) -> List(u24)",
        """
def onto(xs: List(u24), done: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return done
    case List/Cons:
      return onto(xs.tail, List/Cons(xs.head, done))

def reverse_list(xs: List(u24)) -> List(u24):
  return onto(xs, List/Nil)
""",
        lambda xs: xs[::-1], lists(_any),
    ),
    _task(
        "take_first", "Return the first n numbers of xs, or all when there are fewer.",
        "def take_first(xs: List(u24), n: u24) -> List(u24)",
        """
def take_first(xs: List(u24), n: u24) -> List(u24):
  if n == 0:
    return List/Nil
  else:
    match xs:
      case List/Nil:
        return List/Nil
      case List/Cons:
        return List/Cons(xs.head, take_first(xs.tail, n - 1))
""",
        lambda xs, n: xs[:n], lists(_any), _small, edges=(([], 0), ([], 3), ([1, 2], 0)),
    ),
    _task(
        "drop_first", "Return xs without its first n numbers; empty when there are no more.",
        "def drop_first(xs: List(u24), n: u24) -> List(u24)",
        """
def drop_first(xs: List(u24), n: u24) -> List(u24):
  if n == 0:
    return xs
  else:
    match xs:
      case List/Nil:
        return List/Nil
      case List/Cons:
        return drop_first(xs.tail, n - 1)
""",
        lambda xs, n: xs[n:], lists(_any), _small, edges=(([], 0), ([], 3), ([1, 2], 0)),
    ),
    _task(
        "sort_up", "Return xs sorted from the smallest to the largest number.", "def sort_up(xs: List(u24)) -> List(u24)",
        """
def insert(x: u24, xs: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return List/Cons(x, List/Nil)
    case List/Cons:
      if x < xs.head:
        return List/Cons(x, List/Cons(xs.head, xs.tail))
      else:
        return List/Cons(xs.head, insert(x, xs.tail))

def sort_up(xs: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      return insert(xs.head, sort_up(xs.tail))
""",
        sorted, lists(_any, 10), edges=(([],), ([3, 1, 2],), ([5, 5],)),
    ),
    _task(
        "is_sorted", "Return 1 when no number of xs is smaller than the one before it, else 0.",
        "def is_sorted(xs: List(u24)) -> u24",
        """
def from(last: u24, xs: List(u24)) -> u24:
  match xs:
    case List/Nil:
      return 1
    case List/Cons:
      if xs.head < last:
        return 0
      else:
        return from(xs.head, xs.tail)

def is_sorted(xs: List(u24)) -> u24:
  return from(0, xs)
""".replace("from(", "rising("),
        lambda xs: xs == sorted(xs), lists(nat(0, 3), 4), edges=(([],), ([1],), ([1, 1, 2],), ([2, 1],)),
    ),
    _task(
        "running_sum", "Return the list whose i-th number is the sum of the first i + 1 numbers of xs.",
        "def running_sum(xs: List(u24)) -> List(u24)",
        """
def add_up(total: u24, xs: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      return List/Cons(total + xs.head, add_up(total + xs.head, xs.tail))

def running_sum(xs: List(u24)) -> List(u24):
  return add_up(0, xs)
""",
        lambda xs: list(accumulate(xs)), lists(_any),
    ),
    _task(
        "drop_repeats", "Return xs where each run of equal neighbours is one number.",
        "def drop_repeats(xs: List(u24)) -> List(u24)",
        """
def after(last: u24, xs: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      if xs.head == last:
        return after(last, xs.tail)
      else:
        return List/Cons(xs.head, after(xs.head, xs.tail))

def drop_repeats(xs: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      return List/Cons(xs.head, after(xs.head, xs.tail))
""",
        _no_repeats, lists(nat(0, 2)), edges=(([],), ([1, 1, 1],), ([1, 2, 1],)),
    ),
    _task(
        "count_up", "Return the list of the whole numbers from low up to, not including, high.",
        "def count_up(low: u24, high: u24) -> List(u24)",
        """
def count_up(low: u24, high: u24) -> List(u24):
  if low >= high:
    return List/Nil
  else:
    return List/Cons(low, count_up(low + 1, high))
""",
        lambda a, b: list(range(a, b)), nat(0, 9), nat(0, 20), edges=((0, 0), (5, 2)),
    ),
    _task(
        "merge_sorted", "xs and ys are sorted; return all their numbers as one sorted list.",
        "def merge_sorted(xs: List(u24), ys: List(u24)) -> List(u24)",
        """
def merge_sorted(xs: List(u24), ys: List(u24)) -> List(u24):
  match xs:
    case List/Nil:
      return ys
    case List/Cons:
      match ys:
        case List/Nil:
          return List/Cons(xs.head, xs.tail)
        case List/Cons:
          if xs.head < ys.head:
            return List/Cons(xs.head, merge_sorted(xs.tail, List/Cons(ys.head, ys.tail)))
          else:
            return List/Cons(ys.head, merge_sorted(List/Cons(xs.head, xs.tail), ys.tail))
""",
        lambda xs, ys: sorted(xs + ys), lambda rng: sorted(lists(_any)(rng)), lambda rng: sorted(lists(_any)(rng)),
        edges=(([], []), ([1, 3], [2]), ([], [4])),
    ),
)  # fmt: skip
