from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from verify.bend.explain import CannotExplain, explain, read_shapes
from verify.commands.explain import explain as command
from verify.limits import Limits
from verify.verdict import Status

FIB = "def fib(n: u24) -> u24:\n  if n < 2:\n    return n\n  else:\n    return fib(n - 1) + fib(n - 2)\n"
COUNT = "def count(n: u24) -> u24:\n  if n == 0:\n    return 0\n  else:\n    return 1 + count(n - 1)\n"
NESTED = "def twice(n: u24) -> u24:\n  return count(count(n))\n"
TREE = (
    "def grow(d: u24) -> Tree(u24):\n  bend d:\n    when d != 0:\n      t = ![fork(d - 1), fork(d - 1)]\n"
    "    else:\n"
    "      t = !1\n  return t\n\ndef total(t: Tree(u24)) -> u24:\n  fold t:\n    case Tree/Node:\n"
    "      return t.left + t.right\n    case Tree/Leaf:\n      return t.value\n"
)


def test_shapes() -> None:
    found = {each.name: each.shape for each in read_shapes(FIB + COUNT + NESTED + TREE, Limits())}
    assert found == {
        "fib": "parallel", "count": "sequential", "twice": "plain", "grow": "parallel", "total": "parallel",
    }  # fmt: skip


@pytest.mark.bend
def test_a_tree_is_wide_and_a_countdown_is_not() -> None:
    wide = explain(FIB + "\ndef main() -> u24:\n  return fib(12)\n")
    narrow = explain(COUNT, entry="count", arguments=[200])
    assert wide.interactions is not None
    assert wide.rounds is not None
    assert narrow.rounds is not None
    assert wide.interactions == dict(wide.steps)[1]
    assert wide.speedup[256] > 20
    assert narrow.speedup[256] < 5
    assert wide.rounds < wide.interactions


@pytest.mark.parametrize(
    ("code", "status"),
    [(FIB, Status.UNSUPPORTED), ("import x\ndef main() -> u24:\n  return 1\n", Status.REFUSED)],
)
def test_cannot(code: str, status: Status) -> None:
    with pytest.raises(CannotExplain) as caught:
        explain(code)
    assert caught.value.status is status


@pytest.mark.bend
def test_command(tmp_path: Path) -> None:
    file = tmp_path / "f.bend"
    file.write_text(FIB)
    done = CliRunner().invoke(command, [str(file), "--entry", "fib", "--args", "[8]", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert report["interactions"] > report["rounds"] > 0
    assert CliRunner().invoke(command, [str(file)]).exit_code == 2
    assert CliRunner().invoke(command, [str(file), "--entry", "fib", "--args", "["]).exit_code == 2
    shown = CliRunner().invoke(command, [str(file), "--entry", "fib", "--args", "[8]"])
    assert "estimated upper bound" in shown.output
