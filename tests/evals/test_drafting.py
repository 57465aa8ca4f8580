"""Decoders that need heads say so where there are none; runs that go one by one resume to the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.benchmark import open_benchmark
from evals.run import Silent, evaluate
from evals.rundir import SAMPLES, VERDICTS, RunFolder
from evals.sample import Sample
from evals.settings import Settings
from evals.source import open_source
from model.rules import WINDOW
from tests.evals.conftest import SCRIPT

TINY = ("run", "edit", "--model", "tiny", "--device", "cpu", "--max-tokens", 8, "--limit", 1, "--no-score")


def test_verified_without_heads_says_so_and_records_null(evals: Any, tmp_path: Path) -> None:
    done = evals(*TINY, "--decode", "verified", "--out", tmp_path / "r", "--json")
    assert done.code == 0
    assert done.err.count("no trained heads for tiny") == 1
    assert RunFolder(tmp_path / "r").config["model"]["heads_sha256"] is None
    plain = evals(*TINY, "--decode", "lookup", "--out", tmp_path / "plain", "--json")
    assert (plain.code, plain.err) == (0, "")


def test_diffusion_without_heads_is_refused_before_a_run_is_begun(evals: Any, tmp_path: Path) -> None:
    done = evals(*TINY, "--decode", "diffusion", "--out", tmp_path / "r")
    assert done.code == 4
    assert "no trained heads for tiny" in done.err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("decode", ["verified", "diffusion"])
def test_heads_that_were_named_and_are_missing_are_an_error(
    evals: Any,
    tmp_path: Path,
    decode: str,
) -> None:
    done = evals(*TINY, "--decode", decode, "--heads", tmp_path / "none", "--out", tmp_path / "r")
    assert done.code == 4
    assert "no heads at" in done.err
    assert not (tmp_path / "r").exists()


def test_a_run_of_before_the_hash_was_null_is_resumed(evals: Any, tmp_path: Path) -> None:
    run = tmp_path / "r"
    evals(*TINY, "--out", run)
    config = json.loads((run / "config.json").read_text())
    config["model"]["heads_sha256"] = ""
    (run / "config.json").write_text(json.dumps(config))
    (run / SAMPLES).write_text("")
    assert evals(*TINY, "--out", run, "--resume").code == 0


def test_a_run_is_not_resumed_under_other_rules(evals: Any, tmp_path: Path) -> None:
    script, run = tmp_path / "script.json", tmp_path / "r"
    script.write_text(json.dumps([SCRIPT[1]] * 4))
    args = ("run", "humaneval", "--model", f"scripted:{script}", "--limit", 1, "--decode", "diffusion",
            "--threshold", 0.1, "--no-score", "--out", run)  # fmt: skip
    assert evals(*args).code == 0
    written = (run / "config.json").read_text()
    config = json.loads(written)
    rules = config["model"]["rules"]
    assert rules == {"commit": "lenient", "threshold": 0.1, "window": WINDOW}
    config["model"]["rules"] = {"commit": "prefix", "threshold": 0.1}
    (run / "config.json").write_text(json.dumps(config))
    assert evals(*args, "--resume").code == 0  # all answers are there: nothing is made by any rule
    (run / SAMPLES).write_text("")
    for other, said in (
        ({**rules, "window": 5}, f"window: 5 there, {WINDOW} now"),
        ({"commit": "prefix", "threshold": 0.1}, "commit: 'prefix' there, 'lenient' now"),
        (None, "rules: None there, {'commit': 'lenient',"),  # of before they were recorded
    ):
        config["model"]["rules"] = other
        (run / "config.json").write_text(json.dumps(config))
        done = evals(*args, "--resume")
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert f"--resume with another {said}" in done.err
    (run / "config.json").write_text(written)
    assert evals(*args, "--window", WINDOW + 1, "--resume").code == 2
    assert evals(*args, "--resume").code == 0


def test_a_run_of_before_a_setting_existed_is_resumed(evals: Any, tmp_path: Path) -> None:
    run = tmp_path / "r"
    evals(*TINY, "--out", run)
    config = json.loads((run / "config.json").read_text())
    assert config["settings"].pop("window") is None
    (run / "config.json").write_text(json.dumps(config))
    (run / SAMPLES).write_text("")
    assert evals(*TINY, "--out", run, "--resume").code == 0


def test_rules_that_cannot_be_are_refused_before_a_run_is_begun(evals: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([SCRIPT[1]]))
    args = ("run", "humaneval", "--model", f"scripted:{script}", "--out", tmp_path / "r")
    diffusion = (*args, "--decode", "diffusion")
    for words, said in (
        ((*diffusion, "--block", 4), "block is 4"),
        ((*diffusion, "--window", 65), "--window must be from 0 to 64"),
        ((*diffusion, "--window", 1, "--rule", "entropy"), "--window is for --decode diffusion without"),
        ((*args, "--window", 1), "--window is for --decode diffusion without"),
    ):
        done = evals(*words)
        assert done.code == 2
        assert said in done.err
    assert not (tmp_path / "r").exists()


class Heard(Silent):
    """Counts what a bar would show, and stops the run after some samples."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.begun: tuple[int, int, int] = (0, 0, 0)
        self.count, self._stop_after = 0, stop_after

    def started(self, total: int, sampled: int, scored: int) -> None:
        self.begun = (total, sampled, scored)

    def sampled(self, sample: Sample) -> None:
        self.count += 1
        if self.count >= self._stop_after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("decode", ["verified", "lookup"])
def test_one_by_one_without_scoring_resumed_and_judged_later(tmp_path: Path, decode: Any) -> None:
    """A planner that learnt over answers would make other passes after a resume."""
    benchmark = open_benchmark("edit")
    settings = Settings("edit", "tiny", decode, limit=5, max_tokens=40, device="cpu")

    def run(path: Path, heard: Heard, **more: Any) -> None:
        source = open_source(benchmark, settings)
        evaluate(benchmark, settings, path, source=source, jobs=1, listener=heard, **more)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(whole, Heard())
    with pytest.raises(KeyboardInterrupt):
        run(broken, Heard(stop_after=2), score=False)
    again = Heard()
    run(broken, again, score=False, resume=True)
    assert (again.begun, again.count) == ((5, 2, 0), 3)
    run(broken, Heard(), resume=True)
    for name in (SAMPLES, VERDICTS):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
