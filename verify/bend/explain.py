"""What of a Bend program runs in parallel: read from its text, and measured on its reduction.

Measured: the worker reduces `main` in rounds, all redexes that exist at once, and counts interactions and
rounds. With unlimited processors a round takes the time of one interaction, so rounds are the depth (the
critical path) and interactions / rounds is the mean width. Estimated: the speed-up on P processors, as
interactions over the sum of ceil(width / P) of all rounds. That is an upper bound: it assumes that
communication is free and that every processor always finds its share of the work. HVM reaches less.

Read from the text: which functions call themselves more than once in one expression, which walk a list or
count down one call at a time, which build or fold a tree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verify.bend import cli
from verify.bend.gate import admit, screen
from verify.bend.harness import UnusableCase, build
from verify.bend.lexer import Token
from verify.bend.signature import Turned
from verify.bend.toolchain import Unavailable
from verify.limits import Limits
from verify.request import Case
from verify.verdict import Status

LIMITS = Limits(wall_s=60.0, cpu_s=60.0, mem_mb=4096, fuel=100_000_000)
_MAIN = re.compile(r"^def main\b", re.MULTILINE)


class CannotExplain(ValueError):
    """One line saying why there is no report; `status` is the verdict's word for it."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Function:
    """What the text of one definition says. `shape` is parallel, sequential or plain; `why` names the
    cause."""

    name: str
    line: int
    shape: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """`interactions` is measured; `rounds`, `widest` and `steps` (by number of processors) too, when the
    worker is there. `speedup` is an estimate from them."""

    functions: tuple[Function, ...]
    backend: str
    interactions: int | None = None
    rounds: int | None = None
    widest: int | None = None
    steps: tuple[tuple[int, int], ...] = ()

    @property
    def speedup(self) -> dict[int, float]:
        return {
            processors: round(self.interactions / steps, 2)
            for processors, steps in self.steps
            if self.interactions and steps
        }

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "speedup_estimate": self.speedup}


def explain(code: str, *, entry: str = "", arguments: Sequence[Any] = (), limits: Limits = LIMITS) -> Report:
    """Report on a program with a `main` of its own, or on the call of `entry` with `arguments`.

    Raises CannotExplain when it does not pass the gate, does not compile or does not end within the limits.
    """
    source, text = _program(code, entry, arguments, limits)
    functions = tuple(read_shapes(text, limits))
    try:
        from verify.bend import worker

        run = worker.pool().profile(source, limits)
    except Unavailable:
        run = cli.run(source, limits)
        if run.status is not Status.PASSED:
            raise CannotExplain(run.status, run.detail) from None
        return Report(functions, run.backend, run.interactions)
    if run.status is not Status.PASSED:
        raise CannotExplain(run.status, run.detail)
    facts = [line.split(" ") for line in run.result.splitlines()]
    single = {words[0]: int(words[1]) for words in facts if len(words) == 2}
    steps = tuple((int(words[1]), int(words[2])) for words in facts if len(words) == 3)
    return Report(functions, run.backend, run.interactions, single["rounds"], single["widest"], steps)


def _program(code: str, entry: str, arguments: Sequence[Any], limits: Limits) -> tuple[str, str]:
    """What to run, and the text to read shapes from."""
    try:
        if entry:
            candidate = admit(code, entry, limits)
            return build(candidate, [Case(args=tuple(arguments))]).source, code
        if not _MAIN.search(code):
            raise CannotExplain(
                Status.UNSUPPORTED,
                "the program has no main: name a function with --entry and give its --args",
            )
        # The gate keeps main for itself; this one is the person's own, under another name while it is
        # looked at.
        renamed = re.sub(r"\bmain\b", "own_main", code)
        screen(renamed, limits)
    except Turned as error:
        raise CannotExplain(error.status, str(error)) from None
    except UnusableCase as error:
        raise CannotExplain(Status.UNSUPPORTED, str(error)) from None
    return code, renamed


def read_shapes(code: str, limits: Limits) -> list[Function]:
    """Shapes of the definitions, from their tokens. Raises Turned."""
    tokens, names = screen(code, limits)
    found: list[Function] = []
    start: int | None = None
    fresh = True
    for at, token in enumerate([*tokens, Token("name", "def", 0)]):
        if token.kind == "newline":
            fresh = token.indent == 0
            continue
        if fresh and token.text in ("def", "type", "object"):
            if start is not None:
                found.append(_shape(tokens[start:at], names))
            start = at if token.text == "def" and token.line else None
        fresh = False
    return found


def _shape(tokens: list[Token], names: set[str]) -> Function:
    name = next((t.text for t in tokens[1:] if t.kind == "name" and t.text != "checked"), "?")
    words = [t.text for t in tokens]
    shown = "main" if name == "own_main" else name
    widest, itself = _calls(tokens[2:], name, names)

    def function(shape: str, why: str) -> Function:
        return Function(shown, tokens[0].line, shape, why)

    if words.count("fork") > 1:
        return function("parallel", f"bend with {words.count('fork')} forks: the branches grow independently")
    if "fold" in words:
        left = any(t.text.endswith(".left") for t in tokens)
        if left:
            return function("parallel", "fold over a tree: both branches reduce independently")
        return function("sequential", "fold over a list: one cell after the other")
    if itself > 1:
        return function(
            "parallel", f"calls itself {itself} times in one expression: the calls are independent"
        )
    if widest > 1:
        return function("parallel", f"{widest} independent calls in one expression")
    if itself == 1:
        return function(
            "sequential", "calls itself once: each step waits for the one before (list spine, countdown)"
        )
    return function("plain", "no recursion")


def _calls(tokens: list[Token], name: str, names: set[str]) -> tuple[int, int]:
    """The widest line: independent calls of the program's functions, and of `name` itself.

    A call inside the arguments of another one is not independent of it.
    """
    widest, itself = 0, 0
    # Calls seen so far at each open bracket: [all, of `name`], and whether the bracket belongs to a call.
    stack: list[tuple[list[int], bool, bool]] = [([0, 0], False, False)]
    called: tuple[bool, bool] = (False, False)
    for token in [*tokens, Token("newline", "\n", 0)]:
        if token.kind == "newline":
            widest, itself = max(widest, stack[0][0][0]), max(itself, stack[0][0][1])
            if len(stack) == 1:
                stack[0][0][:] = [0, 0]
            called = (False, False)
            continue
        if token.kind == "op" and token.text in "([{":
            is_call, is_self = called if token.text == "(" else (False, False)
            stack.append(([0, 0], is_call, is_self))
        elif token.kind == "op" and token.text in ")]}" and len(stack) > 1:
            (inside, own), is_call, is_self = stack.pop()
            stack[-1][0][0] += max(inside, 1) if is_call else inside
            stack[-1][0][1] += max(own, 1) if is_self else own
        called = (token.kind == "name" and token.text in names, token.text == name)
    return widest, itself
