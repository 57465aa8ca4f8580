"""A dry run says what would run and what is missing, and reads no weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner

from model.cli import cli
from model.train.config import TrainConfig
from model.train.dryrun import survey
from model.train.reading import ConfigError
from model.train.trainer import Trainer
from tests.model.train.tiny_run import FULL, SHARED

Make = Callable[..., TrainConfig]
SEED = Path(__file__).parents[3] / "configs" / "seed-30b.yaml"
REFUSED = {"two_stage_training", "on_policy_learning", "block_wise_parallel", "kv_caching"}
"""Keys whose other value is an error: nothing could honour it, or the rest of the file needs it as it is."""


def leaves(raw: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in raw.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def changed(value: Any) -> Any:
    """Another value of the same type, valid where the key has more than one."""
    others = {"fp8": "none", "bf16": "fp32", "bend_hvm": "python", "qwen3-coder-30b-a3b-fp8": "tiny"}
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return value[:1] if value[1:] else ["other.jsonl"]
    return others[value] if value in others else 2 * float(value) if isinstance(value, str) else 2 * value


@pytest.mark.parametrize("path", list(leaves(yaml.safe_load(SEED.read_text()))), ids=".".join)
def test_every_key_of_the_field_s_design_has_an_effect(path: tuple[str, ...]) -> None:
    """Changed, it changes the configuration or is an error that names it."""
    raw = yaml.safe_load(SEED.read_text())
    whole = TrainConfig.parse(raw).as_dict()
    section, read = raw, whole
    for key in path[:-1]:
        section, read = section[key], read[key]
    # Read as it is written ...
    as_text = section[path[-1]] if isinstance(section[path[-1]], list) else [section[path[-1]]]
    parsed = read[path[-1]] if isinstance(read[path[-1]], list | tuple) else [read[path[-1]]]
    assert [float(x) if isinstance(y, float) else x for x, y in zip(as_text, parsed, strict=True)] == list(
        parsed
    )
    # ... and not passed over.
    section[path[-1]] = changed(section[path[-1]])
    if path[-1] in REFUSED:
        with pytest.raises(ConfigError, match=path[-1]):
            TrainConfig.parse(raw)
    else:
        assert TrainConfig.parse(raw).as_dict() != whole


def test_the_field_s_design_without_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(SEED.parents[1])
    done = CliRunner().invoke(cli, ["train", str(SEED), "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    # r 128 on q, k, v, o of 48 layers: A [r, 2048] three times and [r, 4096]; B [4096 + 512 + 512 + 2048, r].
    attention = 128 * 48 * (3 * 2048 + 4096 + 4096 + 512 + 512 + 2048)
    assert report["parameters"]["ar_head"] == attention
    assert report["parameters"]["diffusion_head"] == attention + 2048
    assert [stage[:2] for stage in report["stages"]] == [["stage 1", 20000], ["stage 2", 20000]]
    assert {"order", "edit", "on_policy (surrogate)"} <= set(report["stages"][1][2])
    assert report["tasks"] >= 10
    missing = "\n".join(report["missing"])
    assert "run: model pull qwen3-coder-30b-a3b-fp8" in missing
    assert "fp8 needs an NVIDIA GPU" in missing
    assert all("\n" not in line for line in report["missing"])


@pytest.mark.parametrize("changes", [{"ar_head": {"train": True, "r": 4}}, SHARED, FULL])
def test_what_it_counts_is_what_is_trained(
    make_config: Make, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = make_config(**changes)
    report = survey(config)
    trainer = Trainer(config, tmp_path / "run")
    assert sum(report.parameters.values()) == sum(p.numel() for p in trainer.parameters.values())
    assert (report.samples, report.rows) == (len(trainer.batches.samples), trainer.batches.rows_per_epoch)
    assert report.missing == []
    assert not (tmp_path / "run").exists()


def test_what_is_missing_is_said(make_config: Make, tmp_path: Path) -> None:
    config = make_config(data={"train": [str(tmp_path / "nowhere.npz")]}, base="qwen2.5-coder-0.6b")
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(config.as_dict()))))
    done = CliRunner().invoke(cli, ["train", str(path), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "did you mean qwen2.5-coder-0.5b" in done.output
    assert "no samples at" in done.output
    assert "nothing is missing" not in done.output
