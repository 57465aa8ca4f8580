"""Heads on disk and in memory: zero heads are the base, PEFT computes the same, bad folders are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from model.base import Base
from model.errors import WeightsError
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.lora import LoraSpec, adapters, mount, unmount
from model.roles import Segment, whole
from model.tiny import tiny_folder
from tests.model.tiny_heads import CONFIGS, MASK_ID, randomise, small_config, states


@pytest.fixture
def folder(tmp_path):
    return tiny_folder(tmp_path / "tiny", "qwen2")


@pytest.fixture
def saved(folder, tmp_path):
    base = Base.load(folder)
    heads = HeadSet.create(base, small_config(), MASK_ID)
    randomise(base, heads)
    heads.save(tmp_path / "heads", base, base_sha256="b" * 64, tokenizer_sha256="t" * 64)
    return tmp_path / "heads"


def test_default_config_is_the_design():
    heads = HeadsConfig.read(CONFIGS / "heads-default.yaml").heads
    found = {name: (h.lora.r, h.lora.alpha, h.lora.targets) for name, h in heads.items()}
    attention = ("q_proj", "k_proj", "v_proj", "o_proj")
    assert found == {
        "ar_head": (128, 256, attention),
        "diffusion_head": (128, 256, attention),
        "length_head": (64, 128, attention),
    }


def test_zero_heads_are_the_base_bit_for_bit(folder):
    base = Base.load(folder)
    ids = torch.arange(40)[None] % 256
    before = states(base, ids)
    HeadSet.create(base, small_config(), MASK_ID)
    for route in (
        (),
        whole("ar_head"),
        (Segment(0, 7, "ar_head"), Segment(7, 20, "diffusion_head"), Segment(20, None, "length_head")),
    ):
        assert torch.equal(before, states(base, ids, route))


def test_a_head_touches_only_its_columns_in_the_first_projection(folder):
    base = Base.load(folder)
    mount(base, "x", LoraSpec(4, 8, ("q_proj", "k_proj")))
    projection = base.layers[0].qkv
    torch.nn.init.normal_(projection.adapters["x"].b["q_proj"])
    x = torch.randn(2, 9, base.config.hidden)
    change = projection(x, (Segment(3, 5, "x"),)) - projection(x, ())
    assert change[:, 3:5, :64].abs().min() > 0
    change[:, 3:5, :64] = 0
    assert not change.any()
    unmount(base, "x")
    assert not hasattr(base.layers[0].qkv, "adapters")


def test_peft_loads_a_head_and_merges_to_the_same_output(folder, saved):
    ids = torch.randint(0, 256, (2, 17), generator=torch.Generator().manual_seed(0))
    base = Base.load(folder)
    HeadSet.load(saved, base, base_sha256="b" * 64, tokenizer_sha256="t" * 64)
    for name in ("ar_head", "diffusion_head", "length_head"):
        reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        merged = PeftModel.from_pretrained(reference, saved / name).merge_and_unload().eval()
        with torch.no_grad():
            theirs = merged(ids).logits
        ours = base.logits(states(base, ids, whole(name)))
        assert (ours - states_logits(base, ids)).abs().max() > 0.1
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def states_logits(base: Base, ids: torch.Tensor) -> torch.Tensor:
    return base.logits(states(base, ids))


def test_save_and_load_is_the_identity(folder, saved):
    one, two = Base.load(folder), Base.load(folder)
    first = HeadSet.load(saved, one, base_sha256="b" * 64, tokenizer_sha256="t" * 64)
    first.save(saved.parent / "again", one, base_sha256="b" * 64, tokenizer_sha256="t" * 64)
    second = HeadSet.load(saved.parent / "again", two, base_sha256="b" * 64, tokenizer_sha256="t" * 64)
    assert first.sha256 == second.sha256
    for name in first.config.heads:
        pairs = zip(adapters(one, name), adapters(two, name), strict=True)
        assert all(torch.equal(a.b[p], b.b[p]) and torch.equal(a.a, b.a) for (_, a, p), (_, b, _) in pairs)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])


def load(saved: Path, folder: Path, base_sha="b" * 64, tokenizer_sha="t" * 64) -> HeadSet:
    base = Base.load(folder)
    try:
        return HeadSet.load(saved, base, base_sha256=base_sha, tokenizer_sha256=tokenizer_sha)
    finally:
        plain = Base.load(folder)
        ids = torch.arange(9)[None]
        assert torch.equal(states(base, ids), states(plain, ids))


def test_heads_of_another_base_or_tokenizer_are_refused(folder, saved):
    with pytest.raises(WeightsError, match="another base"):
        load(saved, folder, base_sha="c" * 64)
    with pytest.raises(WeightsError, match="another tokenizer"):
        load(saved, folder, tokenizer_sha="c" * 64)


def rehash(saved: Path, change) -> None:
    """Edit heads.json and make its file hashes true again, so that the next check is reached."""
    import hashlib

    record = json.loads((saved / "heads.json").read_text())
    change(record)
    for name in record["files"]:
        record["files"][name] = hashlib.sha256((saved / name).read_bytes()).hexdigest()
    (saved / "heads.json").write_text(json.dumps(record))


def test_wrong_rank_is_refused(folder, saved):
    rehash(saved, lambda record: record["config"]["heads"]["ar_head"].update(r=8))
    with pytest.raises(WeightsError, match=r"ar_head: adapter_config\.json says r 4"):
        load(saved, folder)


def test_missing_and_unexpected_tensors_are_refused(folder, saved):
    from safetensors.torch import load_file, save_file

    path = saved / "diffusion_head" / "adapter_model.safetensors"
    tensors = load_file(path)
    key = min(tensors)
    save_file({k: v for k, v in tensors.items() if k != key}, path)
    rehash(saved, lambda record: None)
    with pytest.raises(WeightsError, match="lacks " + key):
        load(saved, folder)
    save_file(tensors | {"stray": torch.zeros(1)}, path)
    rehash(saved, lambda record: None)
    with pytest.raises(WeightsError, match="stray"):
        load(saved, folder)


def test_changed_missing_and_damaged_files_are_refused(folder, saved):
    path = saved / "extras.safetensors"
    whole_file = path.read_bytes()
    path.write_bytes(whole_file[:-1])
    with pytest.raises(WeightsError, match=r"is not the file heads\.json describes"):
        load(saved, folder)
    rehash(saved, lambda record: None)
    with pytest.raises(WeightsError, match="cannot read"):
        load(saved, folder)
    path.unlink()
    with pytest.raises(WeightsError, match="lacks extras"):
        load(saved, folder)
    shutil.rmtree(saved)
    with pytest.raises(WeightsError, match=r"no heads\.json"):
        load(saved, folder)


def test_a_base_without_a_free_row_is_refused(folder):
    base = Base.load(folder)
    for mask_id in (None, base.config.vocab):
        with pytest.raises(WeightsError, match="no free embedding row"):
            HeadSet.create(base, small_config(), mask_id)


def test_mlp_targets_on_a_sparse_base_are_refused(tmp_path):
    base = Base.load(tiny_folder(tmp_path / "moe", "qwen3_moe"))
    with pytest.raises(WeightsError, match="no down_proj, gate_proj"):
        HeadSet.create(base, small_config(), MASK_ID)
    assert not hasattr(base.layers[0].qkv, "adapters")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "`heads` is empty"),
        ({"haeds": {}}, "did you mean 'heads'"),
        ({"heads": {"x": {"role": "clean", "r": 1, "alpha": 1}}}, "target_modules"),
        ({"heads": {"x": {"role": "bright", "r": 1, "alpha": 1, "target_modules": ["q_proj"]}}}, "BRIGHT"),
        ({"heads": {"x": {"role": "clean", "r": -1, "alpha": 1, "target_modules": ["q_proj"]}}}, "r >= 0"),
        ({"heads": {"x": {"role": "clean", "r": 1, "alpha": 1, "target_modules": ["router"]}}}, "router"),
    ],
)
def test_bad_heads_config(raw, message):
    with pytest.raises(WeightsError, match=message):
        HeadsConfig.parse(raw, "test")
