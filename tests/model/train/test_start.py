"""Going on from trained heads, and the length head's figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model.data.samples import Sample, Samples
from model.errors import WeightsError
from model.train.config import TrainConfig
from model.train.lengths import answer_limit, length_figures, training_median
from model.train.trainer import Trainer

Make = Callable[..., TrainConfig]


def test_start_takes_over_all_parts_of_the_same_shape(make_config: Make, tmp_path: Path) -> None:
    first = Trainer(make_config(training={"max_steps": 4}), tmp_path / "a")
    first.fit()
    again = Trainer(make_config(start=str(tmp_path / "a" / "heads")), tmp_path / "b")
    assert again.fresh == []
    for name, parameter in first.parameters.items():
        torch.testing.assert_close(again.parameters[name], parameter, rtol=1e-2, atol=1e-3)  # bf16 on disk
    assert torch.equal(again.heads.draft_vocab, first.heads.draft_vocab)


def test_start_with_other_buckets_begins_that_part_fresh(make_config: Make, tmp_path: Path) -> None:
    first = Trainer(make_config(training={"max_steps": 4}), tmp_path / "a")
    first.fit()
    config = make_config(
        start=str(tmp_path / "a" / "heads"), length_head={"buckets": 48, "r": 3, "alpha": 4, "longest": 100}
    )
    again = Trainer(config, tmp_path / "b")
    assert again.fresh == ["length_head", "length"]
    torch.testing.assert_close(again.heads.mask, first.heads.mask)
    again.fit()
    assert again.step == 12


def test_start_on_another_base_is_refused(make_config: Make, tmp_path: Path) -> None:
    Trainer(make_config(training={"max_steps": 4}), tmp_path / "a").fit()
    heads = tmp_path / "a" / "heads"
    record = (heads / "heads.json").read_text()
    (heads / "heads.json").write_text(record.replace('"base_sha256": "', '"base_sha256": "0'))
    with pytest.raises(WeightsError, match="trained on another base"):
        Trainer(make_config(start=str(heads)), tmp_path / "b")


def test_length_head_beats_the_training_median(make_config: Make, tmp_path: Path) -> None:
    """The prompt's last token says how long the answer is; a limit of 60 cuts the longest kind."""
    rng = np.random.default_rng(1)

    def sample() -> Sample:
        kind = int(rng.integers(3))
        size = round((12, 30, 90)[kind] * float(np.exp(rng.normal(0, 0.05))))
        prompt = np.append(rng.integers(10, 250, 6), kind).astype(np.int32)
        return Sample(prompt, rng.integers(0, 97, min(size, 60)).astype(np.int32), size <= 60)

    path = tmp_path / "lengths.npz"
    Samples([sample() for _ in range(200)]).save(path)
    config = make_config(
        length_head={"r": 4, "alpha": 8, "buckets": 32, "shortest": 8, "longest": 120},
        training={"max_steps": 60, "learning_rate": 1e-2, "row_tokens": 256},
        objectives={"length": 1.0},
        data={"train": [str(path)]},
    )
    trainer = Trainer(config, tmp_path / "run")
    trainer.fit()
    held_out = Samples([sample() for _ in range(60)])
    trivial = training_median(Samples.load(path))
    with torch.no_grad():
        figures = length_figures(trainer.forward, held_out, trivial)
    assert figures["limit"] == 60
    assert figures["median_relative_error"] < 0.5 * figures["trivial_median_relative_error"]


def test_limit_is_where_answers_were_cut() -> None:
    ids = np.zeros(9, np.int32)
    assert answer_limit([Sample(ids, ids[:5], True), Sample(ids, ids[:4], False)]) == 4
    assert answer_limit([Sample(ids, ids[:5], True), Sample(ids, ids[:7], True)]) == 7
