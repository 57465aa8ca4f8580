"""Whole runs with a real sandbox: refusal, resume, kill -9 at random points, failures of ours, flakes."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from evals.benchmark import Outcome, Scored, Task, open_benchmark
from evals.errors import ModelFailureError, RunFolderError, UsageError
from evals.judge import Judge
from evals.run import evaluate, judge_twice
from evals.rundir import SAMPLES, SUMMARY, VERDICTS, RunFolder
from evals.sample import Sample
from evals.settings import Settings, sweep
from evals.source import Canonical, open_source
from verify.verdict import Status


class Halting:
    """Answers depend on task and sample only; every third is wrong. Slow enough to be killed."""

    instant = False
    info: dict[str, Any] = {"name": "halting"}  # noqa: RUF012 - one constant value, never changed

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.made = 0

    def sample(self, task: Task, index: int, judge: Judge) -> tuple[Sample, dict[str, Any]]:
        time.sleep(self.delay)
        self.made += 1
        number = int(task.id.split("/")[1])
        wrong = f"def {task.entry}(*args):\n    return None"
        solution = wrong if (number + index) % 3 == 0 else task.reference
        sample = Sample(task.id, index, solution, tokens=10 + number, forwards=5, commit_step=(0, 0, 1))
        return sample, {"wall_s": random.random(), "ttft_s": 0.1}


def settings(**more: Any) -> Settings:
    return Settings(benchmark="humaneval", model="halting", temperature=0.5, **more)


def files(path: Path) -> dict[str, Any]:
    summary = json.loads((path / SUMMARY).read_text())
    timed = ("wall_s", "tok_s", "speed")
    return {
        SAMPLES: (path / SAMPLES).read_bytes(),
        VERDICTS: (path / VERDICTS).read_bytes(),
        SUMMARY: {k: v for k, v in summary.items() if k not in timed},
    }


def test_a_run_and_its_figures(tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = evaluate(open_benchmark("humaneval"), settings(limit=6, n=2), out, source=Halting(), jobs=1)
    assert (summary["n_tasks"], summary["n_samples"]) == (6, 12)
    assert summary["pass_at_1"] == pytest.approx(8 / 12, abs=1e-6)
    assert (summary["tokens"], summary["forwards"]) == (2 * sum(range(10, 16)), 60)
    assert summary["tpf"] == pytest.approx(150 / 60)
    assert summary["steps"]["acceptance"] == [1.0, 0.5]
    assert summary["statuses"] == {"failed": 4, "passed": 8}
    rows = [json.loads(line) for line in (out / SAMPLES).read_text().splitlines()]
    assert [(r["task_id"], r["sample"]) for r in rows[:3]] == [
        ("HumanEval/0", 0), ("HumanEval/0", 1), ("HumanEval/1", 0),
    ]  # fmt: skip
    with pytest.raises(RunFolderError, match="--resume"):
        evaluate(open_benchmark("humaneval"), settings(limit=6, n=2), out, source=Halting(), jobs=1)


def test_resume_makes_only_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    whole = tmp_path / "whole"
    benchmark = open_benchmark("humaneval")
    evaluate(benchmark, settings(limit=5), whole, source=Halting(), jobs=1)
    evaluate(benchmark, settings(limit=5), out, source=Halting(), resume=True, jobs=1)
    lines = (out / SAMPLES).read_bytes().splitlines(keepends=True)
    (out / SAMPLES).write_bytes(b"".join(lines[:3]) + lines[3][:20])
    (out / VERDICTS).write_bytes(b"".join((out / VERDICTS).read_bytes().splitlines(keepends=True)[:1]))
    source = Halting()
    evaluate(benchmark, settings(limit=5), out, source=source, resume=True, jobs=1)
    assert source.made == 2
    assert files(out) == files(whole)


def test_killed_at_twenty_random_points_the_files_are_those_of_an_unbroken_run(tmp_path: Path) -> None:
    benchmark = open_benchmark("humaneval")
    chosen = settings(limit=12, n=2)
    whole, out = tmp_path / "whole", tmp_path / "run"
    evaluate(benchmark, chosen, whole, source=Halting(), jobs=2)
    rng = random.Random(8)
    context = multiprocessing.get_context("fork")
    kills = 0
    while kills < 20:
        child = context.Process(target=_child, args=(out, chosen))
        child.start()
        child.join(rng.uniform(0.05, 0.5))
        if child.is_alive():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.join()
        if kills < 20 and (out / SUMMARY).exists():
            # It got to the end: tear the files as a kill would and go on.
            (out / SUMMARY).unlink()
            for name in (SAMPLES, VERDICTS):
                data = (out / name).read_bytes()
                (out / name).write_bytes(data[: rng.randrange(len(data))])
    evaluate(benchmark, chosen, out, source=Halting(), resume=True, jobs=2)
    assert files(out) == files(whole)


def _child(out: Path, chosen: Settings) -> None:
    os.setsid()
    evaluate(open_benchmark("humaneval"), chosen, out, source=Halting(0.02), resume=True, jobs=2)


class Sick(Canonical):
    """Fails at the third task."""

    def sample(self, task: Task, index: int, judge: Judge) -> tuple[Sample, dict[str, Any]]:
        if task.id.endswith("/2"):
            raise ModelFailureError("the GPU is gone")
        return super().sample(task, index, judge)


def test_a_model_that_fails_leaves_what_was_done(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(ModelFailureError, match="GPU"):
        evaluate(open_benchmark("humaneval"), settings(limit=4), out, source=Sick(), jobs=1)
    assert len(RunFolder(out).samples()) == 2
    summary = evaluate(
        open_benchmark("humaneval"), settings(limit=4), out, source=Canonical(), resume=True, jobs=1
    )
    assert summary["n_samples"] == 4


def outcome(status: Status) -> Scored:
    return Scored(Outcome(status, int(status is Status.PASSED), 1))


class Fickle:
    """A benchmark whose verdicts are given, to see what is made of them."""

    def __init__(self, *statuses: Status) -> None:
        self.left = list(statuses)

    def score(self, task: Task, solution: str, judge: Judge) -> Scored:
        return outcome(self.left.pop(0))


@pytest.mark.parametrize(
    ("statuses", "final", "flaky"),
    [
        ((Status.PASSED,), Status.PASSED, False),
        ((Status.FAILED,), Status.FAILED, False),
        ((Status.TIMEOUT, Status.TIMEOUT), Status.TIMEOUT, False),
        ((Status.TIMEOUT, Status.PASSED), Status.PASSED, True),
        ((Status.INTERNAL_ERROR, Status.PASSED), Status.PASSED, False),
    ],
)
def test_a_verdict_that_load_can_change_is_checked_twice(
    statuses: tuple[Status, ...], final: Status, flaky: bool
) -> None:
    benchmark = Fickle(*statuses)
    scored, seen = judge_twice(benchmark, None, "", None)  # type: ignore[arg-type]  # Fickle looks at none of them
    assert (scored.base.status, seen) == (final, flaky)
    assert benchmark.left == []


def test_infrastructure_failures_are_never_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = open_benchmark("humaneval")
    real = type(benchmark).score

    def broken(self: Any, task: Task, solution: str, judge: Judge) -> Scored:
        return outcome(Status.INTERNAL_ERROR) if task.id.endswith("/1") else real(self, task, solution, judge)

    monkeypatch.setattr(type(benchmark), "score", broken)
    summary = evaluate(benchmark, settings(limit=3), tmp_path / "run", source=Canonical(), jobs=1)
    assert summary["infra"] == [["HumanEval/1", 0]]
    assert (summary["n_tasks"], summary["pass_at_1"]) == (2, 1.0)
    # What only our own fault kept from a verdict is judged again on resume.
    monkeypatch.undo()
    again = evaluate(benchmark, settings(limit=3), tmp_path / "run", source=Canonical(), resume=True, jobs=1)
    assert (again["infra"], again["n_tasks"]) == ([], 3)


def test_settings_that_cannot_work() -> None:
    for bad, message in [
        ({"n": 0}, "--n"),
        ({"n": 5}, "equal samples"),
        ({"temperature": -1.0}, "--temperature"),
        ({"limit": 0}, "--limit"),
        ({"decode": "fast"}, "--decode"),
        ({"threshold": 0.0}, "--threshold"),
        ({"rule": "luck", "decode": "diffusion"}, "--rule must be"),
        ({"rule": "entropy"}, "--rule is for"),
    ]:
        with pytest.raises(UsageError, match=message):
            Settings(benchmark="humaneval", model="m", **bad)  # type: ignore[arg-type]  # one bad value each
    with pytest.raises(UsageError, match="--model"):
        open_source(open_benchmark("humaneval"), Settings("humaneval", ""))


def test_seeds_differ_by_task_and_sample_and_stay() -> None:
    chosen = settings()
    seeds = {chosen.sample_seed(t, i) for t in ("a", "b") for i in range(3)}
    assert len(seeds) == 6
    assert chosen.sample_seed("a", 0) == settings().sample_seed("a", 0)


def test_sweep_is_the_product() -> None:
    runs = sweep(settings(), ("threshold=0.5,0.9", "block=8,16"))
    assert list(runs) == [
        "threshold=0.5,block=8",
        "threshold=0.5,block=16",
        "threshold=0.9,block=8",
        "threshold=0.9,block=16",
    ]
    assert runs["threshold=0.9,block=8"].threshold == 0.9
    assert sweep(settings(), ()) == {"": settings()}
    for bad in ("threshold", "threshold=", "nothing=1", "block=x"):
        with pytest.raises(UsageError, match="--sweep"):
            sweep(settings(), (bad,))
