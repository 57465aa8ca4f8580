"""Plans are read strictly, before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from model.ablation.plan import Plan
from model.train.reading import ConfigError
from tests.model.ablation.conftest import MakePlan

CONFIGS = Path(__file__).parents[3] / "configs"


def test_arms_change_the_base_by_dotted_keys_or_nested(make_plan: MakePlan) -> None:
    arms = {
        "plain": None,
        "dotted": {"diffusion_head.r": 2},
        "nested": {"diffusion_head": {"r": 3}, "objectives": {"kl": 0}},
    }
    plan = Plan.read(make_plan(arms, common={"training.learning_rate": 1e-3}))
    plain, dotted, nested = (arm.config for arm in plan.arms)
    assert [c.diffusion_head.r for c in (plain, dotted, nested)] == [4, 2, 3]
    assert dotted.diffusion_head.alpha == nested.diffusion_head.alpha == 8
    assert (plain.objectives.kl, nested.objectives.kl) == (0.5, 0)
    assert {arm.config.training.learning_rate for arm in plan.arms} == {1e-3}


def test_every_arm_has_the_budget(make_plan: MakePlan) -> None:
    arms = {"a": {}, "b": {"training.seconds": 7.0, "training.max_steps": 8}}
    steps = Plan.read(make_plan(arms))
    assert [(a.config.training.max_steps, a.config.training.seconds) for a in steps.arms] == [(3, 0.0)] * 2
    timed = Plan.read(make_plan(arms, budget={"seconds": 100}))
    assert {a.config.training.seconds for a in timed.arms} == {100.0}
    assert timed.budget == "100 s"


@pytest.mark.parametrize(
    ("arms", "keys", "said"),
    [
        ({"a": {"diffusion_head.rr": 1}}, {}, "arm a: unknown key 'diffusion_head.rr'"),
        ({"a": {"diffusion_head": 3}}, {}, "arm a: diffusion_head must be a mapping"),
        ({"../a": {}}, {}, "its name is a folder"),
        ({"a": {}}, {"budgets": {}}, "unknown key 'budgets'; did you mean 'budget'"),
        ({"a": {}}, {"budget": {"seconds": 1, "steps": 2}}, "either seconds or steps"),
        ({"a": {}}, {"budget": {"steps": 0}}, "must be a number above 0"),
        ({"a": {}}, {"evaluation": {"blocks": 8}}, "did you mean 'block'"),
        ({"a": {}}, {"base": "other.yaml"}, "other.yaml does not exist"),
        ({}, {}, "`arms` is missing"),
        ({"a": [1]}, {}, "arm a must be a mapping"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused(
    make_plan: MakePlan, arms: dict[str, Any], keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        Plan.read(make_plan(arms, **keys))


def test_only_known_arms_can_be_chosen(make_plan: MakePlan) -> None:
    plan = Plan.read(make_plan({"a": {}, "b": {}}))
    assert [arm.name for arm in plan.chosen(["b"])] == ["b"]
    with pytest.raises(ConfigError, match="no arm 'c'; it has a, b"):
        plan.chosen(["c"])


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("ablate-*.yaml")), ids=lambda p: p.stem)
def test_the_plans_of_the_repository_are_sound(path: Path) -> None:
    plan = Plan.read(path)
    assert len({yaml.safe_dump(arm.raw) for arm in plan.arms}) == len(plan.arms) > 1


def test_a_missing_evaluation_set_is_found_before_training(make_plan: MakePlan) -> None:
    Plan.read(make_plan({"a": {}})).require_files()
    lacking = Plan.read(make_plan({"a": {}}, evaluation={"restore": ["nowhere.npz"]}))
    with pytest.raises(ConfigError, match=r"nowhere\.npz is not here"):
        lacking.require_files()
