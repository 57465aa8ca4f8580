"""A run over a local Ray of two workers, one of them killed in mid-run, ends as the local run does."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from evals.benchmark import Scored, open_benchmark
from evals.run import Silent, evaluate
from evals.rundir import SAMPLES, VERDICTS
from evals.sample import Sample
from evals.settings import Settings
from evals.source import Canonical

pytest.importorskip("ray")


class KillOne(Silent):
    """After the fifth verdict one worker process gets SIGKILL."""

    def __init__(self) -> None:
        self.seen = 0
        self.killed: list[int] = []

    def scored(self, sample: Sample, scored: Scored) -> None:
        self.seen += 1
        if self.seen == 5:
            self._kill()

    def _kill(self) -> None:
        for process in psutil.Process().children(recursive=True):
            if process.name().startswith("ray::Worker"):
                os.kill(process.pid, signal.SIGKILL)
                self.killed.append(process.pid)
                return


def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    from evals.ray_executor import evaluate_ray

    benchmark = open_benchmark("humaneval")
    settings = Settings(benchmark="humaneval", model="canonical", limit=24)
    local: dict[str, Any] = evaluate(benchmark, settings, tmp_path / "local", source=Canonical(), jobs=1)
    listener = KillOne()
    over_ray = evaluate_ray(benchmark, settings, tmp_path / "ray", jobs=2, listener=listener)
    assert listener.killed, "no worker process was found to kill"
    for name in (SAMPLES, VERDICTS):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    timed = ("wall_s", "tok_s", "speed")
    assert {k: v for k, v in over_ray.items() if k not in timed} == {
        k: v for k, v in local.items() if k not in timed
    }


def test_a_ray_that_does_not_start_is_one_line(
    evals: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    done = evals("run", "edit", "--model", "canonical", "--executor", "ray", "--out", tmp_path / "r")
    assert done.code == 5
    assert "the Ray cluster at 127.0.0.1:1 (RAY_ADDRESS) cannot be joined" in done.err
    assert not (tmp_path / "r").exists()


def test_a_worker_hands_on_what_to_warn_of(evals: Any, tmp_path: Path) -> None:
    """A worker's model and source, run in this process: what Ray carries is the return value."""
    from evals.ray_executor import Worker

    worker = Worker("edit", None, Settings("edit", "tiny", decode="verified", device="cpu"))
    info, warnings = worker.info()
    assert info["name"] == "tiny"
    assert [text.startswith("no trained heads for tiny") for text in warnings] == [True]
