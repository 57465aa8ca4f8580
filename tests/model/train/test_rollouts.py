"""Rollouts of the present heads, judged by the real sandbox and by real Bend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model.train.config import TrainConfig
from model.train.onpolicy.trajectory import Rollout
from model.train.trainer import Trainer
from tests.model.train.toy import COMMENT, judged
from verify.checker import open_checker
from verify.request import Case, FunctionCheck

LOST: dict[str, Any] = {**COMMENT, "id": "t/lost", "stub": "def f():\n    return 2\ndef g():  # \n    # "}
BEND: dict[str, Any] = {
    "id": "t/bend",
    "entry": "f",
    "stub": "def f(a: u24) -> u24:\n  return a + 1 #",
    "cases": [{"args": [1], "expected": 2}],
}


def rollouts(config: TrainConfig, run: Path) -> tuple[Trainer, list[Rollout]]:
    """A round of the fresh heads, as a run makes it at its second step."""
    trainer = Trainer(config, run)
    assert trainer.on_policy is not None
    trainer.on_policy.refresh(1, trainer.forward, trainer.tokenizer)
    lines = (run / "rollouts" / "step-0000001.jsonl").read_text().splitlines()[1:]
    return trainer, [Rollout.of(row) for line in lines for row in json.loads(line)]


def test_verdicts_are_those_of_the_sandbox(tmp_path: Path) -> None:
    config = judged(tmp_path, 4, "surrogate", task=COMMENT, attempts=5, temperature=2.0)
    trainer, made = rollouts(config, tmp_path / "run")
    assert len(made) == 5
    with open_checker() as checker:
        for one in made:
            code = COMMENT["stub"] + trainer.tokenizer.decode(list(one.answer))
            check = FunctionCheck(code, "f", (Case(args=(), expected=1),))
            assert one.status == str(checker.check(check).status)


def test_passes_rebuild_the_answer(tmp_path: Path) -> None:
    """What each pass showed, taken together, is the answer; a pass never shows what a later one commits."""
    _, made = rollouts(judged(tmp_path, 4, "surrogate", task=COMMENT, max_tokens=20), tmp_path / "run")
    for one in made:
        shown: dict[int, int] = {}
        for step in one.passes:
            assert all(position >= step.at for position, _, _ in step.new)
            shown |= {position: token for position, token, _ in step.new}
        assert tuple(shown[i] for i in range(len(one.answer))) == one.answer
        assert 1 <= one.surrogate_steps() <= len(one.passes)


@pytest.mark.parametrize(("cut", "tokens"), [(True, 8), (False, 24)])
def test_a_lost_prefix_ends_the_attempt(tmp_path: Path, cut: bool, tokens: int) -> None:
    """The entry is complete and wrong: nothing that follows mends it, so one block of 8 is enough."""
    config = judged(tmp_path, 4, "surrogate", task=LOST, max_tokens=24, cut_early=cut, attempts=2)
    _, made = rollouts(config, tmp_path / "run")
    assert [one.cut for one in made] == [cut, cut]
    assert all(one.status in ("failed", "compile_error") for one in made)
    assert all(len(one.answer) <= tokens for one in made)
    if cut:
        assert {one.status for one in made} == {"failed"}


@pytest.mark.bend
def test_bend_tasks_are_judged_by_bend(tmp_path: Path) -> None:
    config = judged(tmp_path, 4, "best_of_k", task=BEND, verifier="bend_hvm", attempts=6)
    _, made = rollouts(config, tmp_path / "run")
    statuses = {one.status for one in made}
    assert len(made) == 6
    assert statuses <= {"passed", "compile_error", "refused", "unsupported"}
    assert "unavailable" not in statuses
