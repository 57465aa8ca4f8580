"""EvalPlus data files: where they are looked for, and what is said of damaged ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from evals.benchmark import open_benchmark, select
from evals.datasets import content_hash, other_version
from evals.errors import DataError, UsageError
from evals.settings import Settings
from tests.evals.conftest import ROWS


def test_override_path_and_gzip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    packed, plain = tmp_path / "data.jsonl.gz", tmp_path / "data.jsonl"
    packed.write_bytes(gzip.compress(text.encode()))
    plain.write_text(text)
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(packed))
    assert len(open_benchmark("humaneval+").tasks) == 4
    assert content_hash(packed) == content_hash(plain)
    assert open_benchmark("humaneval+").version == open_benchmark("humaneval+", plain).version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}\n", ":1: task_id is missing"),
        (json.dumps(ROWS[0]) + "\n{broken\n", ":2: broken JSON"),
        (json.dumps(ROWS[0]) + "\n" + json.dumps(ROWS[0]) + "\n", ":2: HumanEval/0 is already on line 1"),
        (json.dumps({**ROWS[0], "task_id": "Mbpp/2"}), "this is another dataset"),
        (json.dumps({**ROWS[0], "plus_input": "x"}), "plus_input is missing or of the wrong type"),
        ("", "holds no task"),
    ],
)
def test_damage(tmp_path: Path, text: str, message: str) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(text)
    with pytest.raises(DataError) as error:
        _ = open_benchmark("humaneval+", data).tasks
    assert message in str(error.value)
    assert str(data) in str(error.value)


def test_files_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="--data"):
        _ = open_benchmark("humaneval+", tmp_path / "no.jsonl").tasks
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", str(tmp_path / "no.jsonl"))
    with pytest.raises(DataError, match="MBPP_OVERRIDE_PATH"):
        _ = open_benchmark("mbpp+").tasks
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(json.dumps(ROWS[0]).encode())[:40])
    with pytest.raises(DataError, match="cannot be read"):
        _ = open_benchmark("humaneval+", cut).tasks


def test_missing_data_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    problem = open_benchmark("humaneval+mini").problem()
    assert "HumanEvalPlus-Mini.jsonl.gz" in problem
    assert "HUMANEVAL_OVERRIDE_PATH" in problem


def test_the_full_file_is_no_mini(tmp_path: Path) -> None:
    row = {**ROWS[0], "plus_input": [[[i]] for i in range(99)]}
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps(row))
    with pytest.raises(DataError, match="not the Mini file"):
        _ = open_benchmark("humaneval+mini", data).tasks


def pick(tasks: str, limit: int | None = None) -> list[str]:
    benchmark = open_benchmark("humaneval")
    chosen = select(benchmark, Settings("humaneval", "canonical", tasks=tasks, limit=limit))
    return [task.id.removeprefix("HumanEval/") for task in chosen]


def test_select() -> None:
    assert pick("0-2,32") == ["0", "1", "2", "32"]
    assert pick("HumanEval/5, 3,3") == ["3", "5"]
    assert pick("0-38", 2) == ["0", "1"]
    assert len(pick("")) == 164
    for bad in ("200", "x", "5-3", "HumanEval/999", "1-x"):
        with pytest.raises(UsageError, match="--tasks"):
            pick(bad)


def test_an_unknown_benchmark_gets_a_hint() -> None:
    with pytest.raises(UsageError, match="did you mean 'humaneval'"):
        open_benchmark("humanevl")


def test_another_version_is_named(plus_data: Path) -> None:
    assert f"{plus_data}: not HumanEvalPlus v0.1.10" in open_benchmark("humaneval+", plus_data).notice()
    known = "42526ec0e7d5f3ee" + "0" * 48
    assert other_version("humaneval", plus_data, known) == ""
    assert "MbppPlus v0.2.0" in other_version("mbpp", plus_data, known)
    assert open_benchmark("humaneval").notice() == ""
