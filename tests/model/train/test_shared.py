"""One adapter for all roles, and the base's own weights in place of adapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model import store
from model.base import Base
from model.checkpoint import base_sha256, write_folder
from model.data.samples import Samples
from model.engine import Engine
from model.request import GenerateRequest, complete
from model.train.acceptance import Acceptance
from model.train.config import TrainConfig
from model.train.load import load_forward, load_speaker
from model.train.masters import Masters
from model.train.reading import ConfigError
from model.train.trainer import Trainer
from tests.model.train.resuming import interrupted
from tests.model.train.tiny_run import FULL, SHARED

Make = Callable[..., TrainConfig]


def weights(trainer: Trainer, head: str) -> list[torch.Tensor]:
    return [p.detach() for p in trainer.heads.trained_parameters(trainer.base, head)]


def test_a_shared_head_is_one_adapter_trained_by_all_roles(make_config: Make, tmp_path: Path) -> None:
    config = make_config(**SHARED)
    apart = Trainer(make_config(**{**SHARED, "shared_head": False}), tmp_path / "apart")
    shared = Trainer(config, tmp_path / "run")
    adapters = sum(p.numel() for p in weights(shared, "ar_head"))
    count = [sum(p.numel() for p in t.parameters.values()) for t in (apart, shared)]
    assert count[0] - count[1] == 2 * adapters
    shared.fit()
    for name in ("diffusion_head", "length_head"):
        for mine, first in zip(weights(shared, name), weights(shared, "ar_head"), strict=True):
            assert mine is first or torch.equal(mine, first)
    assert any(p.abs().sum() > 0 for p in shared.parameters["ar_head.1"])
    files = [
        (tmp_path / "run" / "heads" / f"{role}_head" / "adapter_model.safetensors").read_bytes()
        for role in ("ar", "diffusion", "length")
    ]
    assert files[0] == files[1] == files[2]
    again = Trainer(make_config(**{**SHARED, "training": {"max_steps": 6}}), tmp_path / "run")
    assert again.resume()
    again.fit()
    assert again.step == 6


def test_full_fine_tuning_trains_the_layers_and_makes_a_base(
    make_config: Make, tmp_path: Path, samples: Samples
) -> None:
    trainer = Trainer(make_config(**FULL), tmp_path / "run")
    before = {name: p.detach().clone() for name, p in trainer.base.named_parameters()}
    trainer.fit()
    moved = {name for name, p in trainer.base.named_parameters() if not torch.equal(p, before[name])}
    assert moved == set(before) - {"embedding"}
    assert not [name for name in trainer.parameters if name.startswith(("diffusion_head", "length_head"))]
    folder = tmp_path / "run" / "base"
    loaded = Base.load(folder)
    for (name, mine), (_, read) in zip(
        trainer.base.named_parameters(), loaded.named_parameters(), strict=True
    ):
        assert torch.equal(mine, read), name
    figures = Acceptance(load_forward(tmp_path / "run" / "heads", str(folder)), 8).measure(samples)
    assert figures["tokens"] > 0
    # The decoders take such a base and its heads as they take others.
    engine = Engine(folder, name="own", heads=tmp_path / "run" / "heads")
    ar = complete(engine, GenerateRequest(prompt="abc", max_tokens=12))
    verified = complete(engine, GenerateRequest(prompt="abc", max_tokens=12, decode="verified"))
    assert ar.token_ids == verified.token_ids


def test_a_stopped_full_run_goes_on_as_the_same_run(make_config: Make, tmp_path: Path) -> None:
    whole = Trainer(make_config(**FULL), tmp_path / "whole")
    whole.fit()
    config = make_config(**{**FULL, "training": {"max_steps": 4, "save_every": 2}})
    again = interrupted(config, tmp_path / "run", 3)
    assert again.step == 2
    again.fit()
    for name, parameter in whole.parameters.items():
        assert torch.equal(again.parameters[name], parameter), name


def test_bf16_weights_follow_float32_masters(make_config: Make, tmp_path: Path) -> None:
    """Steps too small for bf16 add up in the masters, and reach the weights in the end."""
    base = Base.load(store.resolve("tiny"), dtype=torch.bfloat16)
    masters = Masters(base)
    weight = base.layers[0].o.weight
    master = dict(masters.named())["base.layers.0.o.weight"]
    assert isinstance(weight, torch.nn.Parameter)
    assert master.dtype == torch.float32
    first = weight.detach().clone()
    optimizer = torch.optim.SGD([master], lr=1e-3)
    optimizer.register_step_post_hook(masters.write_back)
    one = (first != 0).nonzero()[0]
    for _ in range(40):
        (weight[tuple(one)] * weight[tuple(one)].detach().sign()).backward()
        assert weight.grad is None
        optimizer.step()
        optimizer.zero_grad()
    start = first[tuple(one)].float()
    expected = start - 40e-3 * start.sign()
    torch.testing.assert_close(master[tuple(one)].detach(), expected, atol=1e-5, rtol=0)
    assert weight[tuple(one)] == expected.to(torch.bfloat16)


@pytest.mark.parametrize("name", ["tiny", "tiny-qwen3", "tiny-qwen3-moe"])
def test_a_base_written_is_the_base_read(tmp_path: Path, name: str) -> None:
    source = store.resolve(name)
    write_folder(Base.load(source), source, tmp_path / "copy")
    assert base_sha256(tmp_path / "copy") == base_sha256(source)


def test_answers_come_from_the_ar_head(make_config: Make, tmp_path: Path) -> None:
    trainer = Trainer(make_config(**SHARED), tmp_path / "run")
    trainer.fit()
    _, head = load_speaker("tiny", tmp_path / "run" / "heads")
    assert head == "ar_head"
    assert load_speaker("tiny")[1] is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shared_head": True}, "ar_head, diffusion_head and length_head are one adapter"),
        ({**SHARED, "length_head": {"r": 2}}, "are one adapter"),
        ({**FULL, "length_head": {"r": 2}}, "set r to 0"),
        ({**FULL, "training": {"base_model_quantization": "fp8"}}, "base_model_quantization to none"),
        ({**FULL, "start": "heads"}, "start: heads of their own"),
        ({"diffusion_head": {"r": -1}}, "r must be 0"),
    ],
)
def test_roles_that_cannot_be_so_are_refused(make_config: Make, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_config(**changes)
