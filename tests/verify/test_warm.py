"""What the fork server does before its first fork: it takes effect, and leaves nothing a candidate sees."""

from __future__ import annotations

import subprocess
import sys

from verify import Case, Checker, FunctionCheck

WARMED = """
import dis, os, sys
while os.open("/dev/null", os.O_RDWR) < 3:  # the descriptor that the harness speaks on
    pass
from verify.inside import harness
from verify.inside.warm import warm_up

def opcodes():
    functions = (harness._call, harness.run_candidate)
    return [line.opname for function in functions for line in dis.get_instructions(function, adaptive=True)]

before = opcodes()
assert before == opcodes()
warm_up()
assert before != opcodes()
assert "candidate" not in sys.modules
os.fstat(3)
"""

FILLED = """
import sys
from verify.inside.warm import POOL, fill_holes

def pools(make):
    return len({id(piece) // POOL for piece in make()})

def make():
    return [bytes(100) for _ in range(40)]

many = [bytes(100) for _ in range(40_000)]
many = [piece for number, piece in enumerate(many) if number % 100]  # a hole here and there
assert pools(make) > 3
filling = fill_holes()
assert pools(make) <= 2
"""

LOOKS = """
def look():
    import linecache, os, sys
    kept = [name for name, entry in linecache.cache.items() if "class " + "Pair" in str(entry)]
    return kept, "LD_BIND_NOW" in os.environ, sys.modules["candidate"].__dict__["look"] is look
"""


def _runs(script: str) -> None:
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_harness_is_specialised_and_its_program_gone() -> None:
    _runs(WARMED)


def test_new_objects_lie_together_after_the_holes_are_filled() -> None:
    _runs(FILLED)


def test_a_candidate_finds_nothing_of_it(checker: Checker) -> None:
    verdict = checker.check(FunctionCheck(LOOKS, "look", (Case((), expected=([], False, True)),)))
    assert verdict.ok, verdict.detail
