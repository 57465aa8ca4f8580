"""Properties: a candidate checked on 2^k generated inputs, all of them in one program.

The inputs hang on a balanced Bend tree (`bend`/`fold`), so the calls are independent of each other and HVM
reduces them in parallel: on one core in the worker, on all cores with `run-c`, on a GPU with `run-cu`. Leaf
n of the tree gets the number n, 0 <= n < 2^k, or what a generator makes of it. When a leaf fails, the tree
is halved until one leaf is left: the failing input with the smallest n.

The property is Bend as well, `def p(x: T) -> u24` returning 1 or 0. It is trusted where the candidate is
not: it comes in text of its own, no definition of the candidate may take its name, and anything but 1
counts as a failure.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Literal

from verify.bend import cli
from verify.bend.gate import HARNESS, Candidate, admit, screen
from verify.bend.harness import Forces, Program
from verify.bend.readback import BadOutput, read
from verify.bend.run import Run
from verify.bend.signature import Turned
from verify.bend.toolchain import Unavailable
from verify.bend.types import U24, ListOf, Tup
from verify.limits import Limits
from verify.verdict import Status, Verdict

Level = Literal["auto", "worker", "run-rs", "run-c", "run-cu"]

MAX_LOG2 = 22
LIMITS = Limits(wall_s=60.0, cpu_s=120.0, mem_mb=4096, fuel=1_000_000_000)


@dataclass(frozen=True, slots=True)
class PropertyCheck:
    """`code` has the candidate; `property` names a function of one argument in `property_code` (or in
    `code` when that is empty: then the program is judged by itself, which is fine for a person and no
    reward).

    generator: a function `(u24) -> T` of `property_code` that makes the input from a number; without it the
    property takes the number. log2_cases: k of 2^k inputs.
    """

    code: str
    property: str
    property_code: str = ""
    generator: str = ""
    log2_cases: int = 10
    limits: Limits = LIMITS


def check_property(request: PropertyCheck, *, level: Level = "auto") -> Verdict:
    """Check a property. `passed` of `total` = 2^k inputs hold; a counterexample is in `detail`.

    `run-c` and `run-cu` execute IO and are refused outside bubblewrap; `run-cu` also without a GPU, before
    anything is started. `per_case` is empty: flags of single inputs do not leave the program.
    """
    start = time.perf_counter()
    total = 1 << max(0, request.log2_cases)

    def verdict(run: Run, passed: int = 0) -> Verdict:
        return Verdict(
            status=run.status,
            passed=passed,
            total=total,
            detail=run.detail,
            backend=run.backend,
            backend_version=run.version,
            isolation=run.isolation,
            lang="bend",
            wall_ms=(time.perf_counter() - start) * 1000,
            queue_ms=run.queue_ms,
            compile_ms=run.compile_ms,
            eval_ms=run.eval_ms,
            interactions=run.interactions,
            max_rss_kb=run.max_rss_kb,
            stderr=run.stderr,
        )

    if not 0 <= request.log2_cases <= MAX_LOG2:
        return verdict(Run(Status.UNSUPPORTED, detail=f"log2_cases must be 0..{MAX_LOG2}", backend="gate"))
    try:
        batch = _Batch(request)
    except Turned as error:
        return verdict(Run(error.status, detail=str(error), backend="gate"))
    run, passed = batch.count(request.log2_cases, 0, level)
    if run.status is not Status.PASSED:
        return verdict(run)
    if passed != total:
        found = batch.shrink(request.log2_cases, level)
        detail = f"{total - passed} of {total} inputs fail; smallest: {found}"
        run = dataclasses.replace(run, status=Status.FAILED, detail=detail)
    return verdict(run, passed)


class _Batch:
    """The admitted program of a property and the trees that are run on it. Raises Turned."""

    def __init__(self, request: PropertyCheck) -> None:
        self.limits = request.limits
        code = request.code.rstrip("\n") + "\n"
        if request.property_code:
            # On its own first: a candidate that ends inside a bracket must not swallow the property.
            screen(code, request.limits)
            code += "\n" + request.property_code
        self.property = admit(code, request.property, request.limits)
        self.generator: Candidate | None = None
        if request.generator:
            self.generator = admit(code, request.generator, request.limits)
        self._check_types(request)

    def _check_types(self, request: PropertyCheck) -> None:
        takes = [parameter.type for parameter in self.property.parameters]
        if self.property.result != U24 or len(takes) != 1:
            raise Turned(
                Status.UNSUPPORTED, f"property '{request.property}' must be a function (x: T) -> u24"
            )
        if self.generator is not None:
            given = [parameter.type for parameter in self.generator.parameters]
            if given != [U24] or self.generator.result != takes[0]:
                raise Turned(
                    Status.UNSUPPORTED,
                    f"generator '{request.generator}' must be a function (n: u24) -> {takes[0]}",
                )
        elif takes[0] != U24:
            raise Turned(
                Status.UNSUPPORTED, f"property '{request.property}' takes {takes[0]}: it needs a generator"
            )

    def count(self, log2_cases: int, prefix: int, level: Level) -> tuple[Run, int]:
        """Run the subtree of depth `log2_cases` below `prefix`; the number of inputs that hold."""
        total = 1 << log2_cases
        program = Program(self.source(log2_cases, prefix), Tup((U24, U24)), chunked=False)
        run = _evaluate(program, self.limits, level)
        if run.status is not Status.PASSED:
            return run, 0
        try:
            passed, counted = read(run.result, program.result)
        except BadOutput as error:
            return dataclasses.replace(run, status=Status.BAD_OUTPUT, detail=str(error)), 0
        if counted != total or passed > total:
            detail = f"{passed} of {counted} inputs reported, {total} were given"
            return dataclasses.replace(run, status=Status.BAD_OUTPUT, detail=detail), 0
        return run, passed

    def source(self, log2_cases: int, prefix: int) -> str:
        """A program whose `main` is (inputs that hold, inputs)."""
        value = f"{self.generator.entry}(n)" if self.generator else "n"
        return (
            f"{self.property.source}\n"
            f"def {HARNESS}leaf(n: u24) -> (u24, u24):\n"
            f"  return ({self.property.entry}({value}) == 1, 1)\n\n"
            f"def {HARNESS}tree(depth: u24, first: u24) -> Tree((u24, u24)):\n"
            "  bend d = depth, n = first:\n"
            "    when d != 0:\n"
            "      t = ![fork(d - 1, n * 2), fork(d - 1, (n * 2) + 1)]\n"
            "    else:\n"
            f"      t = !{HARNESS}leaf(n)\n"
            "  return t\n\n"
            f"def {HARNESS}sum(t: Tree((u24, u24))) -> (u24, u24):\n"
            "  fold t:\n"
            "    case Tree/Node:\n"
            "      (a, n) = t.left\n"
            "      (b, m) = t.right\n"
            "      return (a + b, n + m)\n"
            "    case Tree/Leaf:\n"
            "      return t.value\n\n"
            f"def main() -> (u24, u24):\n  return {HARNESS}sum({HARNESS}tree({log2_cases}, {prefix}))\n"
        )

    def shrink(self, log2_cases: int, level: Level) -> str:
        """The failing input with the smallest number, found by halving the tree."""
        prefix = 0
        for depth in range(log2_cases - 1, -1, -1):
            run, passed = self.count(depth, prefix * 2, level)
            if run.status is not Status.PASSED:
                return f"unknown, the search ended with {run.status}"
            prefix = prefix * 2 + (passed == 1 << depth)
        return f"n = {prefix}{self._input(prefix, level)}"

    def _input(self, number: int, level: Level) -> str:
        """What the generator makes of a number, for the report."""
        if self.generator is None:
            return ""
        forces = Forces()
        call = f"{forces.name(self.generator.result)}({self.generator.entry}({number}))"
        typ = ListOf(self.generator.result)
        source = f"{self.generator.source}\n{forces.source()}\ndef main() -> {typ}:\n  return [{call}]\n"
        run = _evaluate(
            Program(source, typ, chunked=False), self.limits, "run-rs" if level == "run-cu" else level
        )
        return f", input {run.result[1:-1][:200]}" if run.status is Status.PASSED else ""


def _evaluate(program: Program, limits: Limits, level: Level) -> Run:
    if level == "run-rs" or level == "run-c" or level == "run-cu":
        return cli.run(program.source, limits, level=level)
    from verify.bend import worker

    try:
        return worker.pool().run(program, limits)
    except Unavailable as error:
        if level == "worker":
            return Run(Status.UNAVAILABLE, detail=str(error), backend="worker")
        return cli.run(program.source, limits)
