"""Make broken programs: one seeded change of the syntax tree, of the kinds people make by mistake.

    python -m evals.packs.mutate            print the repair tasks as JSON Lines (repair.jsonl is this output)

A mutant is kept when it still compiles, ends, and gives another result than the original on at least one but
not on all inputs, so that a failing test shows the way. Mutants run in a sandbox: a changed loop may not end.
"""

from __future__ import annotations

import ast
import copy
import itertools
import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

from evals.judge import Judge
from evals.packs.program import Program
from evals.packs.programs import PROGRAMS
from verify.limits import Limits
from verify.request import Case, FunctionCheck
from verify.verdict import Status

PER_PROGRAM = 4
LIMITS = Limits(wall_s=5.0, cpu_s=1.0)

_COMPARE = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv,
    ast.Div: ast.FloorDiv,
}
_TWINS = {"max": "min", "min": "max", "lower": "upper", "upper": "lower", "append": "extend"}


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """(kind, source) of every single change, in the order of the text."""
    count = len(list(ast.walk(ast.parse(source))))
    for index in range(count):
        for kind, change in _CHANGES.items():
            changed = ast.parse(source)
            node = next(itertools.islice(ast.walk(changed), index, None))
            if change(node):
                yield kind, ast.unparse(ast.fix_missing_locations(changed)) + "\n"


def _comparison(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare) or type(node.ops[0]) not in _COMPARE:
        return False
    node.ops[0] = _COMPARE[type(node.ops[0])]()
    return True


def _arithmetic(node: ast.AST) -> bool:
    if not isinstance(node, ast.BinOp | ast.AugAssign) or type(node.op) not in _ARITHMETIC:
        return False
    node.op = _ARITHMETIC[type(node.op)]()
    return True


def _off_by_one(node: ast.AST) -> bool:
    if not isinstance(node, ast.Constant) or type(node.value) is not int:
        return False
    node.value += 1
    return True


def _logic(node: ast.AST) -> bool:
    if not isinstance(node, ast.BoolOp):
        return False
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return True


def _negation(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    node.test = node.test.operand if isinstance(node.test, ast.UnaryOp) else ast.UnaryOp(ast.Not(), node.test)
    return True


def _twin(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and node.attr in _TWINS:
        node.attr = _TWINS[node.attr]
    elif isinstance(node, ast.Name) and node.id in _TWINS:
        node.id = _TWINS[node.id]
    else:
        return False
    return True


def _early_return(node: ast.AST) -> bool:
    """The last statement of a function moves into the loop before it."""
    if (
        not isinstance(node, ast.FunctionDef)
        or len(node.body) < 2
        or not isinstance(node.body[-2], ast.For | ast.While)
    ):
        return False
    node.body[-2].body.append(node.body.pop())
    return True


def _swapped(node: ast.AST) -> bool:
    if not isinstance(node, ast.BinOp | ast.Call) or (isinstance(node, ast.Call) and len(node.args) != 2):
        return False
    if isinstance(node, ast.Call):
        node.args.reverse()
    else:
        node.left, node.right = node.right, node.left
    return True


def _forgotten(node: ast.AST) -> bool:
    """The last statement of a loop or a branch is missing."""
    if not isinstance(node, ast.For | ast.While | ast.If) or len(node.body) < 2:
        return False
    node.body.pop()
    return True


_CHANGES: dict[str, Callable[[ast.AST], bool]] = {
    "comparison": _comparison,
    "arithmetic": _arithmetic,
    "off by one": _off_by_one,
    "logic": _logic,
    "negation": _negation,
    "twin": _twin,
    "early return": _early_return,
    "swapped": _swapped,
    "forgotten": _forgotten,
}


def cases(program: Program) -> tuple[Case, ...]:
    """Inputs with the original's results (our own code, so it is run here)."""
    namespace: dict[str, Any] = {}
    exec(compile(program.source, f"{program.entry}.py", "exec"), namespace)
    function = namespace[program.entry]
    inputs = program.inputs()
    return tuple(Case(args=args, expected=function(*copy.deepcopy(args))) for args in inputs)


def repair_tasks(judge: Judge) -> Iterator[dict[str, Any]]:
    """`PER_PROGRAM` mutants of each program, of different kinds first, chosen by a seed."""
    for program in PROGRAMS:
        tests = cases(program)
        rng = random.Random(f"repair/{program.entry}")
        found = list(dict.fromkeys(mutants(program.source)))
        rng.shuffle(found)
        seen: dict[str, int] = {}
        kept: list[tuple[int, str, str]] = []
        for kind, source in found:
            verdict = judge.check(FunctionCheck(source, program.entry, tests, limits=LIMITS))
            useful = (
                verdict.status in (Status.FAILED, Status.RUNTIME_ERROR) and 0 < verdict.passed < verdict.total
            )
            if useful:
                kept.append((seen.get(kind, 0), kind, source))
                seen[kind] = seen.get(kind, 0) + 1
        kept.sort(key=lambda mutant: mutant[0])
        for number, (_, kind, source) in enumerate(kept[:PER_PROGRAM]):
            yield {
                "id": f"repair/{program.entry}-{number}",
                "entry": program.entry,
                "kind": kind,
                "broken": source,
            }


if __name__ == "__main__":
    with Judge(2) as opened:
        for row in repair_tasks(opened):
            sys.stdout.write(json.dumps(row) + "\n")
