"""The measure of the edit stage, with heads whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model.data.packages import DataError
from model.data.samples import Sample, Samples
from model.train import restore as module
from model.train.acceptance import Acceptance
from model.train.config import TrainConfig
from model.train.restore import damage, restore
from model.train.trainer import Trainer


def test_damage_replaces_the_share_and_nothing_else(samples: Samples) -> None:
    for sample, ids in zip(samples, damage(list(samples), 0.1, 3), strict=True):
        assert (ids != sample.answer).sum() == max(1, round(0.1 * len(ids)))


def test_damage_needs_two_kinds_of_tokens() -> None:
    same = [Sample(np.array([1], np.int32), np.array([5, 5, 5], np.int32))]
    with pytest.raises(DataError, match="single kind"):
        damage(same, 0.5, 0)


@pytest.mark.parametrize("block", [8, 32])
def test_a_head_that_knows_the_answers_restores_all_and_a_shy_one_nothing(
    make_config: Callable[..., TrainConfig],
    tmp_path: Path,
    samples: Samples,
    monkeypatch: pytest.MonkeyPatch,
    block: int,
) -> None:
    """The oracle looks the truth up by row and column, so a shift by one or a wrong block shows."""
    forward = Trainer(make_config(), tmp_path).forward
    truth = np.zeros((module.ROWS, module.ROW_TOKENS + block), np.int64)

    def oracle(_: object, ids: np.ndarray, p: object, d: object, anchor: np.ndarray, size: int) -> object:
        columns = anchor[:, None] + 1 + np.arange(size)
        return np.take_along_axis(truth, columns, 1), np.full(columns.shape, 0.8, np.float32)

    few = Samples(samples.items[: module.ROWS])
    for r, sample in enumerate(few):
        truth[r, len(sample.prompt) : len(sample.prompt) + len(sample.answer)] = sample.answer
    monkeypatch.setattr(module, "_predict", oracle)
    sure = restore(forward, few, block=block, confidence=0.8)
    assert (sure["exact"], sure["restored"], sure["kept"]) == (1.0, 1.0, 1.0)
    shy = restore(forward, few, block=block, confidence=0.9)
    assert (shy["exact"], shy["restored"], shy["kept"]) == (0.0, 0.0, 1.0)


def test_predictions_see_the_block_and_what_is_before_it(
    make_config: Callable[..., TrainConfig], tmp_path: Path, samples: Samples
) -> None:
    trainer = Trainer(make_config(), tmp_path)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in trainer.parameters.values():
            parameter.add_(0.05 * torch.randn_like(parameter))
    R, T = module.ROWS, module.ROW_TOKENS
    ids = np.random.default_rng(0).integers(0, 200, (R, T))
    position, document = np.tile(np.arange(T), (R, 1)), np.zeros((R, T), np.int64)
    anchor = np.full(R, 20)

    def chances() -> np.ndarray:
        return module._predict(trainer.forward, ids, position, document, anchor, 8)[1]

    before = chances()
    ids[:, 28:] = 7  # behind the block
    np.testing.assert_allclose(chances(), before, rtol=1e-5)
    ids[:, 27] = 7  # its last shown token
    assert not np.allclose(chances(), before, rtol=1e-5)


def test_nothing_usable_gives_no_figures(make_config: Callable[..., TrainConfig], tmp_path: Path) -> None:
    forward = Trainer(make_config(), tmp_path).forward
    short = Samples([Sample(np.array([1], np.int32), np.array([2], np.int32))])
    assert restore(forward, short) == {}
    with pytest.raises(DataError, match="model data answer"):
        Acceptance(forward, 16).measure(short)
