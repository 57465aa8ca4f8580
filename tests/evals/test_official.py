"""Stock evalplus beside ours, for real: on data of our own in EvalPlus's form, all 164 ids with inputs for a
few.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.cli import main
from tests.evals.conftest import plus_row

pytest.importorskip("evalplus.evaluate")

# The zero of a polynomial of the first degree.
POLY = "    return -args[0][0] / args[0][1]\n"


def rows() -> list[dict[str, Any]]:
    made = [plus_row(number, f"f{number}", "    return 0\n", [], []) for number in range(164)]
    made[0] = plus_row(0, "total", "    return sum(args[0])\n", [[[1, 2]]], [[[3]], [[]]])
    made[1] = plus_row(1, "half", "    return args[0] / 2\n", [[1]], [[3], [0.1]])
    made[2] = plus_row(2, "other", "    return args[0]\n", [[1]], [[2]])
    made[32] = plus_row(32, "find_zero", POLY, [[[1, 2]]], [[[-6, 3]]], 1e-4)
    return made


def test_differences_are_listed_with_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, samples = tmp_path / "plus.jsonl", tmp_path / "samples.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    cheat = "class A:\n    def __eq__(self, other): return True\ndef other(x):\n    return A()"
    solutions = {
        "HumanEval/0": "def total(xs):\n    return sum(xs)",
        "HumanEval/1": "def half(x):\n    return x // 2",
        "HumanEval/2": cheat,
        "HumanEval/32": rows()[32]["prompt"] + POLY,
    }
    samples.write_text(
        "".join(json.dumps({"task_id": t, "solution": s}) + "\n" for t, s in solutions.items())
    )
    with pytest.raises(SystemExit) as end:
        main(["check-evalplus", str(samples), "--data", str(data), "--jobs", "1", "--json"])
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert end.value.code == 1, captured.err
    differ = {row["task_id"]: row for row in result["differences"]}
    # Stock evalplus lets the object that equals everything pass, and can pass nobody on HumanEval/32.
    assert set(differ) == {"HumanEval/2", "HumanEval/32"}
    assert (differ["HumanEval/2"]["ours"], differ["HumanEval/2"]["evalplus"]) == ("bad_output", "pass")
    assert "known bug" in differ["HumanEval/32"]["reason"]
    assert {row["task_id"] for row in result["differences"] if not row["known"]} == {"HumanEval/2"}
    assert result["ours_pass"] == 2
    assert result["evalplus_pass"] == 2
    assert not list(tmp_path.glob("*eval_results*"))
