"""Reference values kept on disk: used when warm, ignored when damaged or foreign, never deciding wrongly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import verify.codec
from evals.benchmark import Scored, open_benchmark
from evals.cli import cli
from evals.judge import Judge
from evals.runner import InputRun, InputRunner
from evals.values import MAX_VALUE, ValueStore

WRONG = "def total(xs):\n    return sum(xs) + 1"
KEY, OTHER = "ab" * 32, "ac" * 32


def line(value: Any) -> str:
    return "=" + verify.codec.encode(value).hex()


def test_values_survive_and_others_are_not_kept(tmp_path: Path) -> None:
    store = ValueStore(tmp_path)
    big = "=" + "0" * MAX_VALUE
    store.keep(KEY, {0: line(7), 2: line([1.5]), 3: "!ValueError: no", 4: "T", 5: big})
    store.keep(KEY, {9: line("x")})
    assert ValueStore(tmp_path).get(KEY, range(10)) == {0: line(7), 2: line([1.5]), 9: line("x")}
    assert ValueStore(tmp_path).get(OTHER, range(10)) == {}


def damage(path: Path, how: str) -> None:
    text = path.read_text()
    row = json.loads(text)
    match how:
        case "cut":
            path.write_text(text[: len(text) // 2])
        case "empty":
            path.write_text("")
        case "list":
            path.write_text("[1]")
        case "value":
            path.write_text(json.dumps({**row, "lines": row["lines"].replace("=", "=00", 1)}))
        case "foreign":
            path.write_text(json.dumps({**row, "key": OTHER}))
        case "bytes":
            path.write_bytes(b"\xff\xfe")


@pytest.mark.parametrize("how", ["cut", "empty", "list", "value", "foreign", "bytes"])
def test_damaged_and_foreign_files_count_as_absent(tmp_path: Path, how: str) -> None:
    ValueStore(tmp_path).keep(KEY, {0: line(7)})
    (path,) = tmp_path.rglob("*.values.json")
    damage(path, how)
    assert ValueStore(tmp_path).get(KEY, [0]) == {}


def test_what_the_codec_cannot_read_is_not_used(tmp_path: Path) -> None:
    ValueStore(tmp_path).keep(KEY, {0: "=zz", 1: "=ff00", 2: line(1)})
    assert ValueStore(tmp_path).get(KEY, range(3)) == {2: line(1)}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The code of every sandboxed run."""
    codes: list[str] = []
    real = InputRunner.run

    def run(self: InputRunner, code: str, *args: Any, **more: Any) -> InputRun:
        codes.append(code)
        return real(self, code, *args, **more)

    monkeypatch.setattr(InputRunner, "run", run)
    return codes


def test_a_wrong_answer_judged_again_does_not_run_the_reference(
    plus_data: Path, judge: Judge, runs: list[str], home: Path
) -> None:
    def score() -> Scored:
        benchmark = open_benchmark("humaneval+", plus_data)
        return benchmark.score(benchmark.tasks["HumanEval/0"], WRONG, judge)

    first = score()
    assert len(set(runs)) == 2
    runs.clear()
    assert score() == first
    assert set(runs) == {WRONG}
    # Damaged entries, digests and values alike, change the work and not the verdict.
    for path in (home / "evals" / "expected").rglob("*.json"):
        path.write_text(path.read_text().replace("1", "2"))
    runs.clear()
    assert score() == first
    assert len(set(runs)) == 2


def test_the_cache_command_says_the_size_and_clears(home: Path) -> None:
    ValueStore(home / "evals" / "expected").keep(KEY, {0: line("x" * 20_000)})
    said = CliRunner().invoke(cli, ["cache"]).output
    assert "1 files, 0.0 MB" in said
    assert "--clear" in said
    rows = [
        json.loads(row) for row in CliRunner().invoke(cli, ["cache", "--clear", "--json"]).output.splitlines()
    ]
    assert [(row["files"], row["cleared"]) for row in rows] == [(1, True), (0, True)]
    assert not (home / "evals" / "expected").exists()
    assert CliRunner().invoke(cli, ["cache"]).exit_code == 0
