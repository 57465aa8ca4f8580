"""`model ablate` on the tiny model: trained, measured, gone on with, failures in their row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from model.ablation.arm import ArmRun
from model.ablation.plan import Evaluation, Plan
from model.ablation.pool import run_all
from model.ablation.table import row
from model.commands.ablate import ablate
from model.train.trainer import Trainer
from tests.model.ablation.conftest import MakePlan


def call(plan: Path, out: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, table, what was said."""
    arguments = [str(plan), "--out", str(out), "--json", "--device", "cpu", *options]
    done = CliRunner().invoke(ablate, arguments)
    return done.exit_code, json.loads(done.stdout), done.stderr


def test_arms_are_trained_measured_and_not_run_again(make_plan: MakePlan, tmp_path: Path) -> None:
    arms = {"wide": {}, "narrow": {"diffusion_head.r": 2}, "broken": {"data.train": ["nowhere.npz"]}}
    plan, out = make_plan(arms), tmp_path / "out"
    code, table, said = call(plan, out, "--jobs", "2")
    assert code == 4
    wide, narrow, broken = table["arms"]
    assert (wide["status"], narrow["status"], broken["status"]) == ("done", "done", "failed")
    assert "nowhere.npz" in broken["error"]
    assert wide["steps"] == narrow["steps"] == 3
    assert wide["ratios"]["trained_parameters"] == 1.0 > narrow["ratios"]["trained_parameters"]
    for figure in ("tokens per forward, samples / 8", "new, samples / 8", "restored, samples / 0.9"):
        assert figure in wide["ratios"] or wide[figure] == 0
    assert {"loss", "token", "length", "memory_gib", "draft_tokens_per_s", "wall_s"} <= set(wide)
    text = (out / "table.md").read_text()
    assert "| broken (failed) |" in text
    assert "nowhere.npz" in text
    assert json.loads((out / "table.json").read_text()) == table
    assert "$ model acceptance" in (out / "wide" / "log.txt").read_text()

    code, again, said = call(plan, out, "--only", "wide,narrow")
    assert code == 0
    assert "train" not in said
    assert again["arms"][:2] == [wide, narrow]
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
