"""Samples of other tools: every kind of damage gives one line that names file and line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from evals.benchmark import Task
from evals.benchmarks.humaneval import HumanEval
from evals.errors import DataError
from evals.sample import MAX_SOLUTION_CHARS, Sample, guess_benchmark, read_samples


class Three(HumanEval):
    """HumanEval's way of reading answers, on three tasks of our own."""

    def load(self) -> Iterable[Task]:
        return [Task(f"HumanEval/{i}", f"def f{i}():\n", f"f{i}", "") for i in range(3)]


TASKS = Three()


def write(path: Path, *lines: object) -> Path:
    file = path / "samples.jsonl"
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return file


def row(i: int, **more: object) -> dict[str, object]:
    return {"task_id": f"HumanEval/{i}", "solution": "x = 1", **more}


def test_solution_and_completion(tmp_path: Path) -> None:
    file = write(
        tmp_path, row(0), "", {"task_id": "HumanEval/1", "completion": "    return 1\n"}, row(2), row(0)
    )
    samples, warnings, info = read_samples(file, TASKS)
    assert [(s.task_id, s.sample) for s in samples] == [
        ("HumanEval/0", 0), ("HumanEval/1", 0), ("HumanEval/2", 0), ("HumanEval/0", 1),
    ]  # fmt: skip
    assert samples[1].solution == "def f1():\n    return 1\n"
    assert warnings == []
    assert len(info["sha256"]) == 64


def test_gzip(tmp_path: Path) -> None:
    file = tmp_path / "s.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(row(0)).encode()))
    assert len(read_samples(file, TASKS, partial=True)[0]) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([row(0), "", "", "", "", "", "{broken"], ":7: broken JSON"),
        ([row(0), "[1]"], ":2: not a JSON object"),
        ([row(0), {"solution": "x"}], ":2: no task_id"),
        ([row(0), {"task_id": "HumanEval/1"}], ":2: neither solution nor completion"),
        ([row(0), {"task_id": "HumanEval/1", "solution": ["a", "b"]}], ":2: solution must be a string"),
        ([row(0, sample=0), row(1), row(0, sample=0)], "samples.jsonl:1"),
        ([row(0, sample="x")], ":1: sample must be a number"),
        ([row(0), row(1)], "no sample of 1 tasks (HumanEval/2"),
        ([{"task_id": "Mbpp/1", "solution": ""}], "no sample of humaneval in it (Mbpp/1)"),
        (["[" * 100_000], "nested too deep"),
        ([], "no sample"),
    ],
)
def test_damage(tmp_path: Path, lines: list[object], message: str) -> None:
    file = write(tmp_path, *lines)
    with pytest.raises(DataError) as error:
        read_samples(file, TASKS)
    assert message in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_tasks_and_megabyte_solutions_are_named_and_counted_as_said(tmp_path: Path) -> None:
    big = "x" * (MAX_SOLUTION_CHARS + 1)
    file = write(tmp_path, row(0), {"task_id": "HumanEval/999", "solution": ""}, row(1, solution=big), row(2))
    samples, warnings, _ = read_samples(file, TASKS)
    assert [w.split(": ")[0] for w in warnings] == [f"{file}:2", f"{file}:3"]
    assert samples[1].solution == ""


def test_many_unknown_tasks_are_one_warning(tmp_path: Path) -> None:
    others = [{"task_id": f"HumanEval/{900 + i}", "solution": ""} for i in range(50)]
    _, warnings, _ = read_samples(write(tmp_path, row(0), *others, row(1), row(2)), TASKS)
    assert len(warnings) == 1
    assert ":2: skipped 50 rows, the first here: no such task in humaneval " in warnings[0]
    assert warnings[0].endswith("(HumanEval/900, HumanEval/901, HumanEval/902, ...)")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "samples.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b"x" * 1000)[:20])
    for path in (binary, cut, tmp_path / "missing.jsonl", tmp_path):
        with pytest.raises(DataError, match=str(path)):
            read_samples(path, TASKS)


def test_guess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUMANEVAL_OVERRIDE_PATH", raising=False)
    assert guess_benchmark(write(tmp_path, row(0)), None) == "humaneval"
    assert guess_benchmark(write(tmp_path, row(0)), Path("x")) == "humaneval+"
    assert guess_benchmark(write(tmp_path, {"task_id": "Mbpp/2"}), None) == "mbpp+"
    stray = write(tmp_path, {"task_id": "What/2"}, {"task_id": "Mbpp/2"})
    assert guess_benchmark(stray, None) == "mbpp+"
    with pytest.raises(DataError, match="--benchmark"):
        guess_benchmark(write(tmp_path, {"task_id": "What/2"}), None)


def test_rows_round_trip() -> None:
    sample = Sample("HumanEval/0", 3, "é\ud800", raw="r", tokens=4, forwards=2, commit_step=(0, 0, 1))
    assert Sample.from_row(json.loads(json.dumps(sample.to_row()))) == sample


def test_whole_answers_are_extracted(tmp_path: Path) -> None:
    file = write(tmp_path, {"task_id": "HumanEval/1", "raw": "def f1():\n    return 1\n```\nThat is all."})
    assert read_samples(file, TASKS, partial=True)[0][0].solution == "def f1():\n    return 1"
