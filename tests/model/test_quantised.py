"""Bases whose weights stay FP8: what they compute, what they take, and heads on them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from model import floor, fp8, quantize, synthetic
from model.base import Base
from model.checkpoint import Tensors
from model.errors import WeightsError
from model.experts import Experts
from model.layerwise import layer_errors
from model.lora import LoraSpec, mount, unmount
from model.projection import DenseProjection
from model.quantised import Fp8Experts, Fp8Projection
from model.roles import Route, Segment
from model.tensorfile import Spec, write_shards
from model.tiny import tiny_folder

IDS = torch.arange(40)[None] * 7 % 320
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def states(base: Base, route: Route = ()) -> torch.Tensor:
    found: torch.Tensor = base(base.embed(IDS), torch.arange(IDS.shape[1])[None], quantize.Causal(), route)
    return found


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_synthetic(tmp_path_factory.mktemp("fp8") / "sparse", **synthetic.SMALL)


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen2 with biases, quantised by us."""
    folder = tmp_path_factory.mktemp("fp8")
    source = tiny_folder(folder / "source", hidden=256, heads=2, kv_heads=1, intermediate=384)
    return quantize.quantise_folder(source, folder / "dense")


@pytest.mark.parametrize("which", ["sparse", "dense"])
def test_weights_stay_fp8_and_take_what_the_file_takes(which: str, request: Any) -> None:
    folder = request.getfixturevalue(which)
    base = Base.load(folder, dtype=torch.bfloat16, fp8=True)
    layers = [module for layer in base.layers for module in (layer.qkv, layer.o)]
    assert all(isinstance(module, Fp8Projection) for module in layers)
    tensors = Tensors(folder)
    stored = sum(t.numel() * t.element_size() for t in map(tensors.stored, tensors.names()))
    assert stored <= floor.nbytes(base) < 1.05 * stored


@pytest.mark.parametrize("which", ["sparse", "dense"])
def test_equals_the_dequantised_base_with_rounded_activations(
    which: str, request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounded(project: Any, x: torch.Tensor, index: int, part: str) -> Any:
        return project(fp8.through_fp8(x), index, part)

    folder = request.getfixturevalue(which)
    kept = Base.load(folder, dtype=torch.float32, fp8=True)
    plain = Base.load(folder, dtype=torch.float32)
    for module in plain.modules():
        if isinstance(module, DenseProjection) and "lm_head" not in module.parts:
            module.register_forward_pre_hook(lambda _, args: (fp8.through_fp8(args[0]), *args[1:]))
        if isinstance(module, Experts):
            monkeypatch.setattr(module, "project", partial(rounded, module.project))
    with torch.no_grad():
        ours, due = states(kept), states(plain)
    # A sum's last bit may put a value on the other side of an FP8 step, in one channel of many.
    assert float((ours - due).norm() / due.norm()) < 1e-3


def test_layers_beside_their_references(sparse: Path) -> None:
    base = Base.load(sparse, dtype=torch.float32, fp8=True)
    before = states(base)
    errors = list(layer_errors(base, IDS))
    assert [error.layer for error in errors] == [0, 1]
    for error in errors:
        assert error.same < 1e-6
        assert error.router_same == 1
        assert 1e-3 < error.exact < 0.3
        assert error.router_exact > 0.9
    assert torch.equal(states(base), before)  # the references left nothing behind
    assert all(parameter.dtype != torch.bfloat16 for parameter in base.parameters())


def test_a_broken_kernel_is_seen_layer_by_layer(sparse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = Base.load(sparse, dtype=torch.float32, fp8=True)
    moe = base.layers[1].mlp
    assert isinstance(moe, Fp8Experts)
    monkeypatch.setattr(moe, "forward", lambda x, route: 0.9 * Experts.forward(moe, x, route))
    first, second = layer_errors(base, IDS)
    assert first.same < 1e-6
    assert second.same > 0.01


@torch.no_grad()
def test_heads_on_fp8(sparse: Path) -> None:
    kept, plain = Base.load(sparse, dtype=torch.float32, fp8=True), Base.load(sparse, dtype=torch.float32)
    bare = states(kept)
    route = (Segment(10, 30, "draft"),)
    spec = LoraSpec(4, 8, ATTENTION)
    ours, theirs = mount(kept, "draft", spec), mount(plain, "draft", spec)
    assert torch.equal(states(kept, route), bare)
    generator = torch.Generator().manual_seed(0)
    for mine, other in zip(ours, theirs, strict=True):
        mine.normal_(0, 0.3, generator=generator)
        other.copy_(mine)
    moved = states(kept, route)
    assert torch.equal(moved[:, :10], bare[:, :10])
    due, before = states(plain, route), states(plain)
    # What the head does is much more than what rounding activations does.
    assert float((moved - due).norm()) < 0.5 * float((due - before).norm())
    unmount(kept, "draft")
    assert torch.equal(states(kept), bare)


def test_gradient_of_a_frozen_projection() -> None:
    module = Fp8Projection(256, {"q_proj": 128, "k_proj": 256}, bias=True)
    weight, scale = fp8.quantise(torch.randn(384, 256))
    module.weight.data, module.scale.data = weight, scale.float()
    module.bias.data = torch.randn(384)  # type: ignore[union-attr]
    x, grad = torch.randn(2, 5, 256, requires_grad=True), torch.randn(2, 5, 384)
    y = module(x, ())
    with torch.no_grad():
        assert torch.equal(y, module(x, ()))
    (found,) = torch.autograd.grad(y, x, grad)
    assert torch.allclose(found, grad @ fp8.dequantise(weight, scale), atol=1e-4)


def test_heads_train_through_frozen_fp8_layers(sparse: Path) -> None:
    """A fresh head learns what another one does; the first layer's gets its gradient through all layers."""
    base = Base.load(sparse, dtype=torch.float32, fp8=True)
    spec, route = LoraSpec(4, 8, ("q_proj", "o_proj")), (Segment(0, None, "draft"),)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in mount(base, "teacher", spec):
            parameter.normal_(0, 0.1)
        due = states(base, (Segment(0, None, "teacher"),))
    parameters = mount(base, "draft", spec)
    optimiser = torch.optim.Adam(parameters, lr=5e-3)
    losses = []
    for _ in range(20):
        loss = (states(base, route) - due).square().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(p.grad is not None for p in parameters)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_widths_that_cut_a_block_are_dequantised(tmp_path: Path) -> None:
    changes = synthetic.SMALL | {"moe_intermediate_size": 192, "head_dim": 32}
    folder = synthetic.write_synthetic(tmp_path / "cut", **changes)
    kept = Base.load(folder, dtype=torch.float32, fp8=True)
    assert type(kept.layers[0].mlp) is Experts
    assert isinstance(kept.layers[0].qkv, DenseProjection)
    assert isinstance(kept.layers[0].o, Fp8Projection)
    plain = Base.load(folder, dtype=torch.float32)
    assert float((states(kept) - states(plain)).norm() / states(plain).norm()) < 0.2


def test_yarn_on_fp8_computes_as_in_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, FineGrainedFP8Config

    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048}
    changes = synthetic.SMALL | {"rope_scaling": yarn, "max_position_embeddings": 8192}
    folder = synthetic.write_synthetic(tmp_path / "yarn", **changes)
    theirs = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=FineGrainedFP8Config(dequantize=True), dtype=torch.float32
    )
    base = Base.load(folder, dtype=torch.float32)
    assert base.config.context == 8192
    at = torch.arange(8100, 8140)[None]
    with torch.no_grad():
        due = theirs(IDS, position_ids=at).logits
        ours = base.logits(base(base.embed(IDS), at, quantize.Causal()))
    assert torch.allclose(ours, due, atol=1e-3)
    # The same stretch asked for at loading, from a config without it.
    short = synthetic.write_synthetic(tmp_path / "short", **synthetic.SMALL)
    asked = Base.load(short, dtype=torch.float32, context=8192)
    assert asked.config.yarn == base.config.yarn
    assert torch.equal(asked.inverse_frequency, base.inverse_frequency)


def test_a_missing_scale_is_named(sparse: Path, tmp_path: Path) -> None:
    """A weight in FP8 without its scale cannot be used, dequantised or not."""
    from safetensors.torch import load_file, save_file

    weights = load_file(sparse / "model.safetensors")
    name = "model.layers.1.mlp.experts.3.up_proj.weight_scale_inv"
    del weights[name]
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((sparse / "config.json").read_text())
    for kept in (True, False):
        with pytest.raises(WeightsError, match=r"3\.up_proj\.weight is FP8 and its scales are missing"):
            Base.load(tmp_path, fp8=kept)


def test_shards_do_not_depend_on_threads(tmp_path: Path) -> None:
    specs = [Spec(f"t{i}.weight", "F8_E4M3", (16, 64)) for i in range(9)]
    hashes = []
    for threads in (1, 4):
        folder = tmp_path / str(threads)
        folder.mkdir()
        produce = synthetic._Weights(5).produce
        hashes.append(write_shards(folder, specs, produce, shard_bytes=2048, threads=threads))
        assert len(json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]) == 9
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 5


def test_floor_counts_the_experts_that_are_read(sparse: Path) -> None:
    base = Base.load(sparse, dtype=torch.float32, fp8=True)
    one, many = floor.width(base, 1, 64), floor.width(base, 64, 64)
    assert one.experts == 2
    assert many.experts > 6
    expert = 3 * 256 * 256 + 3 * 4 * 4
    assert many.bytes_read - one.bytes_read == round(2 * (many.experts - 2) * expert)
