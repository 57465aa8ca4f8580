"""Configurations: every key does something or is an error that says what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from model.roles import Role
from model.train.config import TrainConfig
from model.train.device import check_quantization, pick_device
from model.train.reading import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"trainig": {}}, "unknown key 'trainig'; did you mean 'training'"),
        ({"training": {"warmup_step": 1}}, "unknown key 'training.warmup_step'; did you mean 'warmup_steps'"),
        ({"training": {"max_steps": "many"}}, "training.max_steps: 'many' is not of type int"),
        ({"training": {"max_steps": True}}, "training.max_steps: True is not of type int"),
        ({"training": {"max_steps": 0}}, "training.max_steps must be above 0"),
        ({"training": {"base_model_quantization": "int4"}}, "'int4' is none of none, fp8"),
        ({"training": 3}, "training must be a mapping"),
        (
            {"diffusion_head": {"target_modules": ["qproj"]}},
            "diffusion_head.target_modules: 'qproj' is none of",
        ),
        ({"seed_diffusion": {"block_size": 1}}, "block_size must be 2 or more"),
        ({"seed_diffusion": {"block_size": 33}}, "draft_tokens must be a multiple of each block_size"),
        ({"objectives": {"edit": 0.6, "order": 0.5}}, "edit and order leave no block"),
        ({"seed_diffusion": {"verifier": "bend_hvm"}}, "on_policy_learning and .*verifier belong together"),
        ({"seed_diffusion": {"kv_caching": False}}, "kv_caching: false has no trainer"),
        ({"objectives": {"edit_max": 0.5}}, "edit_max must be at most 0.1"),
        ({"objectives": {"kl": 1.5}}, "objectives.kl must lie between 0 and 1"),
        ({"length_head": {"shortest": 9, "longest": 9}}, "shortest must be below"),
    ],
)
def test_errors_name_the_key_and_the_remedy(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig.parse(raw)


def test_file_errors(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with pytest.raises(ConfigError, match="does not exist"):
        TrainConfig.read(path)
    path.write_text("training: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        TrainConfig.read(path)


def test_numbers_without_a_dot_are_numbers() -> None:
    """YAML 1.1 reads 1e-4 as text."""
    config = TrainConfig.parse(yaml.safe_load("training: {learning_rate: 1e-4}"))
    assert config.training.learning_rate == 1e-4


def test_the_field_s_design_is_read_whole() -> None:
    config = TrainConfig.read(CONFIGS / "seed-30b.yaml")
    assert config.seed_diffusion.verifier == "bend_hvm"
    assert config.seed_diffusion.on_policy_learning
    assert config.seed_diffusion.block_size == (128,)
    assert config.seed_diffusion.stage1_share == 0.5
    assert set(config.heads().of_role(Role.CLEAN)) == {"ar_head"}


def test_shipped_configuration() -> None:
    config = TrainConfig.read(CONFIGS / "qwen0.5b-heads.yaml")
    assert config.heads().of_role(Role.CLEAN) == []
    assert TrainConfig.parse(config.as_dict()) == config


def test_a_gpu_is_asked_for_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for training in ({"device": "cuda"}, {"base_model_quantization": "fp8"}):
        with pytest.raises(ConfigError, match="needs an NVIDIA GPU"):
            pick_device(TrainConfig.parse({"training": training}))


def test_fp8_asks_for_a_base_that_is_stored_so(tmp_path: Path) -> None:
    from model.synthetic import SMALL, write_synthetic
    from model.tiny import tiny_home

    config = TrainConfig.parse({"training": {"base_model_quantization": "fp8"}})
    with pytest.raises(ConfigError, match="is not stored in FP8"):
        check_quantization(config, tiny_home("tiny"))
    check_quantization(config, write_synthetic(tmp_path, **SMALL))
