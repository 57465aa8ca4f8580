"""Bend: tasks written for Bend 1, checked on HVM against a reference on edge and seeded random inputs.

The prompt teaches the part of the language that is needed, so the benchmark measures writing programs from a
given grammar and not what a model has memorised.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from evals.benchmark import Benchmark, Outcome, Scored, Task
from evals.errors import UsageError
from evals.packs.bend_lists import LISTS
from evals.packs.bend_mixed import MIXED
from evals.packs.bend_numbers import NUMBERS
from evals.packs.bend_task import BendTask
from model.request import Message
from verify.limits import Limits
from verify.request import Case, FunctionCheck

if TYPE_CHECKING:
    from evals.judge import Judge

TASKS: tuple[BendTask, ...] = (*NUMBERS, *LISTS, *MIXED)
LIMITS = Limits(wall_s=20.0, cpu_s=20.0)

SYNTAX = """\
Bend is a small functional language that looks like Python. Rules:
- Indent with 2 spaces. Every function states its types: def f(x: u24, xs: List(u24)) -> u24:
- u24 are whole numbers from 0; truth values are 1 and 0. i24 are signed and written with a sign: +1, -1, +0.
- Operators: + - * / % (whole-number division), == != < > <= >=, & | on truth values. No and, or, not.
- if always has an else, and every branch ends with return. No loops: use recursion. No early return.
- Take a number apart with switch: case 0 and case _, where n-1 (no spaces) is the number before n.
- Take a list apart with match: case List/Nil and case List/Cons, where xs.head and xs.tail are its parts.
  Make one with List/Nil and List/Cons(head, tail). Strings work the same way: String/Nil, String/Cons;
  their heads are character codes.
- Pairs: (a, b) makes one, (a, b) = p takes one apart. Helper functions are allowed; no main, no imports.

Example:
```bend
def pow2(n: u24) -> u24:
  switch n:
    case 0:
      return 1
    case _:
      return 2 * pow2(n-1)

def add_all(xs: List(u24), x: u24) -> List(u24):
  match xs:
    case List/Nil:
      return List/Nil
    case List/Cons:
      return List/Cons(xs.head + x, add_all(xs.tail, x))
```
"""


class Bend(Benchmark):
    name = "bend"
    title = "Bend"
    stop = ("\n```\n",)
    max_tokens = 384

    def __init__(self, data: Path | None = None) -> None:
        if data is not None:
            raise UsageError("bend's tasks come with this package; --data is for humaneval+ and mbpp+")

    def load(self) -> Iterable[Task]:
        for task in TASKS:
            yield Task(
                id=f"bend/{task.name}",
                prompt=f"{task.signature}\n{task.text}",
                entry=task.name,
                reference=task.solution,
                category=task.category,
                data={
                    "cases": tuple(Case(args=args, expected=task.reference(*args)) for args in task.inputs())
                },
            )

    def messages(self, task: Task) -> tuple[Message, ...]:
        signature, text = task.prompt.split("\n", 1)
        user = f"{SYNTAX}\nWrite this function in Bend.\n{text}\nSignature: {signature}:\n"
        return Message("user", user), Message("assistant", "```bend\n")

    def extract(self, task: Task, raw: str) -> str:
        """The text up to the end of the code block; Bend has no parser here, so nothing is pruned."""
        return raw.split("```", 1)[0].strip("\n")[:65_536] + "\n"

    def score(self, task: Task, solution: str, judge: Judge) -> Scored:
        cases = task.data["cases"]
        verdict = judge.check(FunctionCheck(solution, task.entry, cases, lang="bend", limits=LIMITS))
        failed = tuple(i for i, ok in enumerate(verdict.per_case) if ok is not True)[:32]
        return Scored(Outcome(verdict.status, verdict.passed, len(cases), failed, verdict.detail))
