from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.bend.gate import Candidate, admit
from verify.bend.signature import Turned
from verify.bend.types import I24, STRING, U24, ListOf, Tup
from verify.limits import Limits
from verify.verdict import Status

BODY = "def f(n: u24) -> u24:\n  return n\n"


def gate(code: str, entry: str = "f") -> Candidate:
    return admit(code, entry, Limits())


def turned(code: str, entry: str = "f") -> Turned:
    with pytest.raises(Turned) as caught:
        gate(code, entry)
    return caught.value


def test_signature_and_namespace() -> None:
    code = "def go(xs: List((u24, String))) -> (i24, List(u24)):\n  return go(xs)\n"
    admitted = gate(code, "go")
    assert [p.type for p in admitted.parameters] == [ListOf(Tup((U24, STRING)))]
    assert admitted.result == Tup((I24, ListOf(U24)))
    assert admitted.entry == "c7/go"
    assert admitted.source == "def c7/go(xs: List((u24, String))) -> (i24, List(u24)):\n  return c7/go(xs)\n"


def test_types_constructors_and_fields_are_renamed_together() -> None:
    code = (
        "type A(T):\n  B { go: T }\n  C\n\ndef go(n: u24) -> u24:\n  a = A/B { go: n }\n"
        "  match a:\n    case A/B:\n      return a.go\n    case A/C:\n      return 0\n"
    )
    source = gate(code, "go").source
    assert "type c7/A(T):" in source
    assert "c7/A/B { c7/go: n }" in source
    assert "case c7/A/B:" in source
    assert "a.c7/go" in source


def test_comments_do_not_reach_bend() -> None:
    code = f"# import x\n#{{ hvm\n main #}}\n{BODY}  # from\n"
    assert gate(code).source == "def c7/f(n: u24) -> u24:\n  return n\n"


def test_strings_are_printed_again_in_one_form() -> None:
    code = 'def f(n: u24) -> String:\n  return "import \\u{e9}é\\t"\n'
    assert '"import \\u{e9}\\u{e9}\\u{9}"' in gate(code).source


@pytest.mark.parametrize(
    "line",
    [
        "import x",
        "from x import y",
        "hvm n:\n  (a a)",
        "def unchecked g(n):\n  return n",
        "def main() -> u24:\n  return 1",
        "def g(n):\n  return main",
        "def g(n):\n  return IO/MAGIC",
        "def g(n):\n  return n + 13683217",
        "def g(n):\n  return n + 0xFF1FF1",
        "def g(n):\n  return {n, n}",
        "def g(n):\n  {a, b} = n\n  return a",
        "def g(n):\n  return { lambda x: x, n }",
        "def g(n):\n  return $n",
        "def g(n):\n  return h7/force0(n)",
        "def g(n):\n  return c7/f(n)",
        "def g(n):\n\treturn n",
        "def g(n):\n  return n\0",
        "def g(n):\n  return " + "(" * 201 + "n" + ")" * 201,
        "def mаin() -> u24:\n  return 1",
    ],
)
def test_refused(line: str) -> None:
    assert turned(BODY + "\n" + line + "\n").status is Status.REFUSED


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("f n = n\n", Status.UNSUPPORTED),
        ("def f(n):\n  return n\n", Status.UNSUPPORTED),
        ("def f(n: u24):\n  return n\n", Status.UNSUPPORTED),
        ("def f(n: Any) -> u24:\n  return n\n", Status.UNSUPPORTED),
        ("def f(n: u24) -> Tree(u24):\n  return !n\n", Status.UNSUPPORTED),
        ("type List(T):\n  Nil\n\n" + BODY, Status.UNSUPPORTED),
        ("# " + "x" * 70_000 + "\n" + BODY, Status.UNSUPPORTED),
        ("def g(n: u24) -> u24:\n  return n\n", Status.COMPILE_ERROR),
        (BODY + BODY, Status.COMPILE_ERROR),
        ("def f(n: u24) -> u24:\n  return (n\n", Status.COMPILE_ERROR),
        ("def f(n: u24) -> u24:\n  return n)\n", Status.COMPILE_ERROR),
        ('def f(n: u24) -> u24:\n  return "a\n', Status.COMPILE_ERROR),
        ("def f(n: u24) -> u24:\n   return n\n", Status.COMPILE_ERROR),
        ("def f(n: u24) -> u24:\n  return h'\\u{7}'\n", Status.COMPILE_ERROR),
        ("", Status.COMPILE_ERROR),
    ],
)
def test_other_faults(code: str, status: Status) -> None:
    assert turned(code).status is status


def test_maps_and_constructor_fields_are_no_superpositions() -> None:
    gate("type P:\n  P { x, ~y }\n\n" + BODY)
    gate(BODY + "\ndef g(n: u24) -> u24:\n  m = { 1: n, 2: n }\n  e = {}\n  return m[1]\n")


PIECES = st.sampled_from(
    ["def f(n: u24) -> u24:", "\n", "  ", "return", " ", "n",
     "(", ")", "{", "}", ",", ":", "#", "#{", "#}", '"',
     "'", "\\", "main", "import", "hvm", "h7/", "x", "λ", "$", "13683217", "\t", "0x", "7", "/", "-", ".",
     "é", "`"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=25).map("".join))
def test_whatever_passes_is_clean(noise: str) -> None:
    try:
        source = gate(BODY + noise).source
    except Turned:
        return
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", source)
    assert "#" not in bare
    assert "`" not in bare
    assert "\t" not in bare
    assert source.isascii()
    assert not re.search(r"(?<![A-Za-z0-9_./-])(main|import|from|hvm|unchecked)(?![A-Za-z0-9_./-])", bare)
    assert "h7/" not in bare
