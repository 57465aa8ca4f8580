"""Bend tasks on numbers: recursion, division, remainders."""

# ruff: noqa: E501 - tasks are data: a sentence or a program stays on one line

from __future__ import annotations

import math

from evals.packs.bend_task import BendTask, nat


def _collatz(n: int) -> int:
    steps = 0
    while n > 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _digits(n: int) -> list[int]:
    return [int(c) for c in str(n)]


def _fib(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def _prime(n: int) -> bool:
    return n >= 2 and all(n % d for d in range(2, math.isqrt(n) + 1))


def _task(
    name: str, text: str, signature: str, solution: str, reference: object, *draws: object, edges: object = ()
) -> BendTask:
    return BendTask(name, "numbers", signature, text, solution.strip() + "\n", reference, draws, edges)  # type: ignore[arg-type]  # one place for 15 lambdas


NUMBERS = (
    _task(
        "sum_to", "Return the sum of the whole numbers from 1 to n.", "def sum_to(n: u24) -> u24",
        """
def sum_to(n: u24) -> u24:
  return n * (n + 1) / 2
""",
        lambda n: n * (n + 1) // 2, nat(0, 2000), edges=((0,), (1,)),
    ),
    _task(
        "factorial", "Return the factorial of n (n is at most 10).", "def factorial(n: u24) -> u24",
        """
def factorial(n: u24) -> u24:
  switch n:
    case 0:
      return 1
    case _:
      return n * factorial(n-1)
""",
        math.factorial, nat(0, 10), edges=((0,), (10,)),
    ),
    _task(
        "power", "Return base to the power of exp. 0 to the power of 0 is 1.", "def power(base: u24, exp: u24) -> u24",
        """
def power(base: u24, exp: u24) -> u24:
  switch exp:
    case 0:
      return 1
    case _:
      return base * power(base, exp-1)
""",
        lambda b, e: b**e, nat(0, 6), nat(0, 8), edges=((0, 0), (2, 23)),
    ),
    _task(
        "gcd", "Return the greatest common divisor of a and b; gcd(0, 0) is 0.", "def gcd(a: u24, b: u24) -> u24",
        """
def gcd(a: u24, b: u24) -> u24:
  if b == 0:
    return a
  else:
    return gcd(b, a % b)
""",
        math.gcd, nat(0, 5000), nat(0, 5000), edges=((0, 0), (7, 0), (0, 7), (12, 18)),
    ),
    _task(
        "lcm", "Return the least common multiple of a and b, which are both at least 1.", "def lcm(a: u24, b: u24) -> u24",
        """
def divide(a: u24, b: u24) -> u24:
  if b == 0:
    return a
  else:
    return divide(b, a % b)

def lcm(a: u24, b: u24) -> u24:
  return (a / divide(a, b)) * b
""",
        math.lcm, nat(1, 900), nat(1, 900), edges=((1, 1), (4, 6)),
    ),
    _task(
        "fibonacci", "Return the n-th Fibonacci number; the first two (n = 0 and n = 1) are 0 and 1.",
        "def fibonacci(n: u24) -> u24",
        """
def climb(n: u24, a: u24, b: u24) -> u24:
  switch n:
    case 0:
      return a
    case _:
      return climb(n-1, b, a + b)

def fibonacci(n: u24) -> u24:
  return climb(n, 0, 1)
""",
        _fib, nat(0, 30), edges=((0,), (1,), (2,)),
    ),
    _task(
        "is_prime", "Return 1 when n is a prime number and 0 when it is not.", "def is_prime(n: u24) -> u24",
        """
def try_from(n: u24, d: u24) -> u24:
  if d * d > n:
    return 1
  else:
    if n % d == 0:
      return 0
    else:
      return try_from(n, d + 1)

def is_prime(n: u24) -> u24:
  if n < 2:
    return 0
  else:
    return try_from(n, 2)
""",
        _prime, nat(0, 3000), edges=((0,), (1,), (2,), (4,), (7919,)),
    ),
    _task(
        "digit_sum", "Return the sum of the decimal digits of n.", "def digit_sum(n: u24) -> u24",
        """
def digit_sum(n: u24) -> u24:
  if n < 10:
    return n
  else:
    return (n % 10) + digit_sum(n / 10)
""",
        lambda n: sum(_digits(n)), nat(0, 9_999_999), edges=((0,), (9,), (10,)),
    ),
    _task(
        "digit_count", "Return how many decimal digits n has; 0 has one.", "def digit_count(n: u24) -> u24",
        """
def digit_count(n: u24) -> u24:
  if n < 10:
    return 1
  else:
    return 1 + digit_count(n / 10)
""",
        lambda n: len(str(n)), nat(0, 9_999_999), edges=((0,), (9,), (10,), (99,), (100,)),
    ),
    _task(
        "reverse_digits", "Return n with its decimal digits in reverse order; zeros in front vanish.",
        "def reverse_digits(n: u24) -> u24",
        """
def shift(n: u24, done: u24) -> u24:
  if n == 0:
    return done
  else:
    return shift(n / 10, (done * 10) + (n % 10))

def reverse_digits(n: u24) -> u24:
  return shift(n, 0)
""",
        lambda n: int(str(n)[::-1]), nat(0, 999_999), edges=((0,), (10,), (120,)),
    ),
    _task(
        "collatz_steps", "Halve n when it is even, else take 3n + 1, until it is 1; return the number of steps. n >= 1.",
        "def collatz_steps(n: u24) -> u24",
        """
def collatz_steps(n: u24) -> u24:
  if n == 1:
    return 0
  else:
    if n % 2 == 0:
      return 1 + collatz_steps(n / 2)
    else:
      return 1 + collatz_steps((n * 3) + 1)
""",
        _collatz, nat(1, 200), edges=((1,), (2,), (27,)),
    ),
    _task(
        "count_divisors", "Return how many divisors n has, 1 and n included; n is at least 1.",
        "def count_divisors(n: u24) -> u24",
        """
def count_from(n: u24, d: u24) -> u24:
  if d > n:
    return 0
  else:
    return (n % d == 0) + count_from(n, d + 1)

def count_divisors(n: u24) -> u24:
  return count_from(n, 1)
""",
        lambda n: len(_divisors(n)), nat(1, 150), edges=((1,), (12,)),
    ),
    _task(
        "is_perfect", "Return 1 when n equals the sum of its divisors smaller than n, else 0; n is at least 1.",
        "def is_perfect(n: u24) -> u24",
        """
def total(n: u24, d: u24) -> u24:
  if d >= n:
    return 0
  else:
    if n % d == 0:
      return d + total(n, d + 1)
    else:
      return total(n, d + 1)

def is_perfect(n: u24) -> u24:
  return total(n, 1) == n
""",
        lambda n: sum(_divisors(n)) - n == n, nat(1, 150), edges=((1,), (6,), (28,), (496,)),
    ),
    _task(
        "binary_ones", "Return the number of ones in the binary form of n.", "def binary_ones(n: u24) -> u24",
        """
def binary_ones(n: u24) -> u24:
  if n == 0:
    return 0
  else:
    return (n % 2) + binary_ones(n / 2)
""",
        lambda n: n.bit_count(), nat(0, 16_777_215), edges=((0,), (1,), (16_777_215,)),
    ),
    _task(
        "integer_root", "Return the largest r with r * r <= n.", "def integer_root(n: u24) -> u24",
        """
def search(n: u24, r: u24) -> u24:
  if (r + 1) * (r + 1) > n:
    return r
  else:
    return search(n, r + 1)

def integer_root(n: u24) -> u24:
  return search(n, 0)
""",
        math.isqrt, nat(0, 40_000), edges=((0,), (1,), (15,), (16,)),
    ),
)  # fmt: skip
