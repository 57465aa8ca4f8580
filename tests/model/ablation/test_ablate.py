"""`model ablate` on the tiny model: trained, measured, gone on with, failures in their row."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from model.ablation.agreement import agreement
from model.ablation.arm import ArmRun
from model.ablation.plan import Evaluation, Plan
from model.ablation.pool import run_all
from model.ablation.table import markdown, row, with_ratios
from model.commands.ablate import ablate
from model.data.samples import Sample, Samples
from model.train.trainer import Trainer
from tests.model.ablation.conftest import MakePlan


def call(plan: Path, out: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, table, what was said."""
    arguments = [str(plan), "--out", str(out), "--json", "--device", "cpu", *options]
    done = CliRunner().invoke(ablate, arguments)
    return done.exit_code, json.loads(done.stdout), done.stderr


@pytest.mark.timeout(900)  # four processes that each import torch
def test_an_arm_is_gone_on_with_measured_and_not_run_again(make_plan: MakePlan, tmp_path: Path) -> None:
    """The arm with most steps: fine-tuned weights, its own answers; two of its three steps are done. The
    other arm fails at once."""
    full = {"full_fine_tuning.train": True, "diffusion_head.r": 0, "length_head.r": 0}
    short, out = make_plan({"full": full}, budget={"steps": 2}), tmp_path / "out"
    Trainer(Plan.read(short, device="cpu").arms[0].config, out / "full" / "run").fit()
    plan = make_plan({"full": full, "stale": {}})
    (out / "stale").mkdir(parents=True)
    (out / "stale" / "config.yaml").write_text("base: other\n")
    code, table, _ = call(plan, out, "--jobs", "2")
    assert code == 4
    full, stale = table["arms"]
    assert (full["status"], stale["status"]) == ("done", "failed")
    assert full["steps"] == 3
    for figure in ("tokens per forward, samples / 8", "new, samples / 8", "restored, samples / 0.9"):
        assert full[figure] >= 0
    assert {"loss", "token", "length", "memory_gib", "draft_tokens_per_s", "wall_s"} <= set(full)
    assert full["trained_parameters"] > 70_000  # the layers of `tiny`
    assert 0 <= full["answers of the base, samples"] <= 1
    assert len(Samples.load(out / "full" / "answers" / "samples.npz")) == 4
    log = (out / "full" / "log.txt").read_text()
    assert "resumed at step 2" in log
    assert "$ model acceptance" in log
    assert "trained with another configuration" in (out / "table.md").read_text()
    assert json.loads((out / "table.json").read_text()) == table

    code, again, said = call(plan, out, "--only", "full")
    assert code == 0
    assert "train" not in said
    assert again["arms"][0] == full
    assert again["arms"][1]["status"] == "not run"


def test_a_killed_process_is_named_as_such(make_plan: MakePlan, tmp_path: Path) -> None:
    arm = Plan.read(make_plan({"a": {}}), device="cpu").arms[0]
    run, errors = ArmRun(arm, tmp_path / "a", Evaluation()), {}
    worker = threading.Thread(target=lambda: errors.update(run_all([run], [""], 1)))
    worker.start()
    while run._process is None and worker.is_alive():
        worker.join(0.01)
    assert run._process is not None
    run._process.send_signal(signal.SIGKILL)
    worker.join()
    assert errors == {"a": "model train was ended by SIGKILL; call again to go on"}


def test_ratios_are_to_the_first_arm() -> None:
    rows = [
        {"arm": "a", "status": "done", "error": "", "memory_gib": 4.0, "tokens per forward, x / 8": 2.0},
        {"arm": "b", "status": "done", "error": "", "memory_gib": 6.0, "tokens per forward, x / 8": 5.0},
        {"arm": "c", "status": "failed", "error": "no memory", "log": "c/log.txt"},
    ]
    assert [one["ratios"] for one in with_ratios(rows)][1:] == [
        {"memory_gib": 1.5, "tokens per forward, x / 8": 2.5},
        {},
    ]
    text = markdown(rows, "title")
    assert "| b | 5 (2.50x) | 6 (1.50x) |" in text
    assert "| c (failed) |  |  |" in text
    assert "- c: no memory (c/log.txt)" in text


def test_the_table_has_the_scores_that_were_put_there(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text('{"memory_gib": 1.0, "draft_tokens_per_s": 2.0}\n')
    (tmp_path / "train.json").write_text('{"wall_s": 3.0}')
    assert not [key for key in row("arm", tmp_path) if key.startswith("pass@1")]
    score = {"base": {"pass@1": {"value": 0.506098}}, "plus": {"pass@1": {"value": 0.487805}}}
    (tmp_path / "scores.json").write_text(json.dumps({"dataset": "humaneval+", "pass_at_k": score}))
    made = row("arm", tmp_path)
    assert (made["pass@1, humaneval+ base"], made["pass@1, humaneval+ plus"]) == (0.5061, 0.4878)
    assert "| pass@1, humaneval+ base | pass@1, humaneval+ plus |" in markdown([made], "title")


def test_agreement_ends_at_the_first_other_token() -> None:
    def answers(*ids: list[int]) -> Samples:
        return Samples([Sample(np.zeros(1, np.int32), np.array(x, np.int32)) for x in ids])

    found = agreement(answers([1, 2, 3, 4], [5, 6]), answers([1, 2, 9, 4], [5, 6]))
    assert found == {"same": 0.5, "kept": 0.75}
    assert agreement(answers([1, 2, 3, 4]), answers([1, 2])) == {"same": 0.0, "kept": 0.5}
