"""Decoding trajectories and the order learned from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.train import trajectories
from model.train.config import TrainConfig
from model.train.objectives import order
from model.train.reading import ConfigError
from model.train.tensors import Tensors
from model.train.trainer import Trainer
from tests.model.train.resuming import curve, interrupted

Make = Callable[..., TrainConfig]
ORDER = {"constrained_order": True, "order_passes": 4, "order_trajectories": 3}


def sampled(trainer: Trainer, seed: int, count: int) -> tuple[Tensors, torch.Tensor, torch.Tensor]:
    t = Tensors.of(trainer.batches.at(0, edits=True), trainer.device)
    _, cache = trainer.forward.clean(t)
    generator = torch.Generator().manual_seed(seed)
    found = trajectories.sample(
        trainer.forward, t, cache, slice(0, 3), passes=4, samples=count, generator=generator
    )
    return t, *found


def test_each_known_token_is_revealed_once_within_the_passes(make_config: Make, tmp_path: Path) -> None:
    trainer = Trainer(make_config(), tmp_path)
    t, revealed, likelihood = sampled(trainer, 0, 1)
    known = t.target_RNB[:, :3, :-1] >= 0
    assert (revealed[..., 0] == 0).all()
    assert ((revealed[..., 1:] <= 4) == known).all()
    assert (revealed[..., 1:] >= 1).all()
    # Passes are not skipped: the trajectory of a block uses 1 .. its last.
    for block in revealed.flatten(0, 1):
        used = block[(block > 0) & (block <= 4)].unique().tolist()
        assert used == list(range(1, len(used) + 1))
    assert (likelihood <= 0).all()


def test_the_best_of_several_is_kept_and_a_seed_repeats(make_config: Make, tmp_path: Path) -> None:
    trainer = Trainer(make_config(), tmp_path)
    _, first, one = sampled(trainer, 7, 1)
    _, again, best = sampled(trainer, 7, 4)
    assert (best >= one).all()
    assert (best > one).any()
    assert torch.equal(sampled(trainer, 7, 4)[1], again)
    assert not torch.equal(first, again)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 3))
def test_states_of_a_trajectory(seed: int, passes: int, horizon: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    revealed = torch.randint(1, passes + 2, (2, 3, 8), generator=generator)
    revealed[..., 0] = 0
    visible, weight = order.states(
        revealed, passes, horizon, torch.rand(revealed.shape[:2], generator=generator)
    )
    assert visible[..., 0].all()
    assert (weight[..., -1] == 0).all()
    for block in range(6):
        seen, paid = visible.flatten(0, 1)[block], weight.flatten(0, 1)[block, :-1] > 0
        when = revealed.flatten(0, 1)[block]
        at = int(when[seen].max())
        assert not (paid & seen[1:]).any()  # what is visible is not asked for
        asked = when[1:][paid].tolist()
        assert all(at < w <= passes for w in asked)
        assert not asked or max(asked) - min(asked) < horizon


def test_constrained_order_trains_and_resumes(make_config: Make, tmp_path: Path) -> None:
    config = make_config(seed_diffusion=ORDER, objectives={"order": 0.4})
    Trainer(config, tmp_path / "whole").fit()
    interrupted(config, tmp_path / "broken", 11).fit()
    assert curve(tmp_path / "whole") == curve(tmp_path / "broken")


def test_order_blocks_only_in_stage_2(make_config: Make, tmp_path: Path) -> None:
    batches = Trainer(make_config(seed_diffusion=ORDER, objectives={"order": 0.5}), tmp_path).batches
    assert batches.at(0, edits=False).ordered_N == 0
    batch = batches.at(0, edits=True)
    assert batch.ordered_N == round(0.5 * batch.anchor_RN.shape[1])


def test_order_without_a_second_stage_is_an_error() -> None:
    with pytest.raises(ConfigError, match="constrained_order belongs to stage 2"):
        TrainConfig.parse({"seed_diffusion": {"constrained_order": True, "two_stage_training": False}})
