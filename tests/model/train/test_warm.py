"""Compiling before the clock starts leaves the run what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from model.train.config import TrainConfig
from model.train.trainer import Trainer
from model.train.warm import warm_up

Make = Callable[..., TrainConfig]


def test_a_warm_up_visits_every_shape_and_changes_nothing(make_config: Make, tmp_path: Path) -> None:
    trainer = Trainer(make_config(training={"seconds": 60.0, "compile": True}), tmp_path / "run")
    seen = []
    passed = trainer.model.forward

    def watched(t: object) -> object:
        seen.append((t.draft_ids_RNB.shape[-1], t.refined_N))  # type: ignore[attr-defined]
        with torch.compiler.set_stance("force_eager"):
            return passed(t)

    trainer.model.forward = watched
    before = {name: parameter.detach().clone() for name, parameter in trainer.parameters.items()}
    assert warm_up(trainer) > 0
    # Two block sizes; stage 2 gives some of the blocks to the edit objective.
    assert len(set(seen)) == 4
    assert {size for size, _ in seen} == {8, 16}
    for name, parameter in trainer.parameters.items():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None
    assert not trainer.optimizer.state


def test_a_run_without_clock_is_not_warmed(make_config: Make, tmp_path: Path) -> None:
    assert warm_up(Trainer(make_config(training={"compile": True}), tmp_path / "run")) == 0
