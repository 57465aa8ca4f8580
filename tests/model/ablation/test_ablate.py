"""`model ablate` on the tiny model: trained, measured, gone on with, failures in their row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from model.ablation.agreement import agreement
from model.ablation.arm import ArmRun
from model.ablation.plan import Evaluation, Plan
from model.ablation.pool import run_all
from model.ablation.table import row
from model.commands.ablate import ablate
from model.data.samples import Sample, Samples
from model.train.trainer import Trainer
from tests.model.ablation.conftest import MakePlan


def call(plan: Path, out: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, table, what was said."""
    arguments = [str(plan), "--out", str(out), "--json", "--device", "cpu", *options]
    done = CliRunner().invoke(ablate, arguments)
    return done.exit_code, json.loads(done.stdout), done.stderr


def test_arms_are_trained_measured_and_not_run_again(make_plan: MakePlan, tmp_path: Path) -> None:
    full = {"full_fine_tuning.train": True, "diffusion_head.r": 0, "length_head.r": 0}
    arms = {"wide": {}, "full": full, "broken": {"data.train": ["nowhere.npz"]}}
    plan, out = make_plan(arms), tmp_path / "out"
    code, table, said = call(plan, out, "--jobs", "2")
    assert code == 4
    wide, tuned, broken = table["arms"]
    assert (wide["status"], tuned["status"], broken["status"]) == ("done", "done", "failed")
    assert "nowhere.npz" in broken["error"]
    assert wide["steps"] == tuned["steps"] == 3
    assert wide["ratios"]["trained_parameters"] == 1.0 < tuned["ratios"]["trained_parameters"]
    # The text of `wide` is the base's; that of `full` is its own, and what it drafts for.
    assert 0 <= tuned["answers of the base, samples"] <= 1
    assert "answers of the base, samples" not in wide
    assert len(Samples.load(out / "full" / "answers" / "samples.npz")) == 4
    for figure in ("tokens per forward, samples / 8", "new, samples / 8", "restored, samples / 0.9"):
        assert figure in wide["ratios"] or wide[figure] == 0
    assert {"loss", "token", "length", "memory_gib", "draft_tokens_per_s", "wall_s"} <= set(wide)
    text = (out / "table.md").read_text()
    assert "| broken (failed) |" in text
    assert "nowhere.npz" in text
    assert json.loads((out / "table.json").read_text()) == table
    assert "$ model acceptance" in (out / "wide" / "log.txt").read_text()

    code, again, said = call(plan, out, "--only", "wide,full")
    assert code == 0
    assert "train" not in said
    assert again["arms"][:2] == [wide, tuned]
    assert again["arms"][2]["status"] == "not run"


def test_a_killed_arm_resumes(make_plan: MakePlan, tmp_path: Path) -> None:
    arm = Plan.read(make_plan({"a": {}}, budget={"steps": 3}), device="cpu").arms[0]
    Trainer(
        Plan.read(make_plan({"a": {}}, budget={"steps": 2}), device="cpu").arms[0].config,
        tmp_path / "a" / "run",
    ).fit()
    assert run_all([ArmRun(arm, tmp_path / "a", Evaluation())], [""], 1) == {}
    assert "resumed at step 2" in (tmp_path / "a" / "log.txt").read_text()
    assert row("a", tmp_path / "a")["steps"] == 3


def test_an_arm_of_another_configuration_is_refused(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = Plan.read(make_plan({"a": {}}))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.yaml").write_text("base: other\n")
    errors = run_all([ArmRun(plan.arms[0], tmp_path / "a", plan.evaluation)], [""], 0)
    assert "trained with another configuration" in errors["a"]


def test_agreement_ends_at_the_first_other_token() -> None:
    def answers(*ids: list[int]) -> Samples:
        return Samples([Sample(np.zeros(1, np.int32), np.array(x, np.int32)) for x in ids])

    found = agreement(answers([1, 2, 3, 4], [5, 6]), answers([1, 2, 9, 4], [5, 6]))
    assert found == {"same": 0.5, "kept": 0.75}
    assert agreement(answers([1, 2, 3, 4]), answers([1, 2])) == {"same": 0.0, "kept": 0.5}
