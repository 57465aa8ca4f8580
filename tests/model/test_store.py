"""Names, folders and GGUF files become model folders, or one clear line says why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model import store
from model.errors import NotPulledError, WeightsError
from model.gguf import GGUFFile
from model.tiny import tiny_folder
from model.tokenizer import Tokenizer
from tests.model.gguf_files import MASK_ID, write_gguf


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_not_pulled_says_what_to_run() -> None:
    with pytest.raises(NotPulledError, match=r"run: model pull qwen2\.5-coder-0\.5b$"):
        store.resolve("qwen2.5-coder-0.5b")


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(NotPulledError, match=r"did you mean qwen2\.5-coder-0\.5b"):
        store.resolve("qwen2.5-coder-05b")


def test_folder_is_used_as_it_is(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "mine")
    assert store.resolve(str(folder)) == folder


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_folder_without_weights(tmp_path: Path, missing: str) -> None:
    folder = tiny_folder(tmp_path / "mine")
    (folder / missing).unlink()
    with pytest.raises(WeightsError, match="it lacks"):
        store.resolve(str(folder))


def test_folder_with_a_lost_shard(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "mine")
    index = {"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match="00002-of-00002"):
        store.resolve(str(folder))


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "qwen3_moe"])
def test_gguf_gives_the_tensors_it_was_made_from(tmp_path: Path, family: str) -> None:
    weights = write_gguf(tmp_path / "m.gguf", family, quantise=False)
    folder = store.resolve(str(tmp_path / "m.gguf"))
    made = load_file(folder / "model.safetensors")
    assert set(made) == set(weights)
    for name, value in weights.items():
        assert torch.equal(made[name], torch.from_numpy(value).to(torch.bfloat16)), name


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "qwen3_moe"])
def test_converted_folder_computes_as_transformers_says(tmp_path: Path, family: str) -> None:
    from transformers import AutoModelForCausalLM

    write_gguf(tmp_path / "m.gguf", family, quantise=False)
    folder = store.resolve(str(tmp_path / "m.gguf"))
    ids = torch.arange(40)[None]
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(ids).logits
        source = AutoModelForCausalLM.from_pretrained(tmp_path / "m.folder", dtype=torch.float32)(ids).logits
    # The median: rounding to bf16 may send a token to another expert.
    assert float((theirs - source).abs().median()) < 0.02


def test_quantised_gguf_equals_the_librarys_dequantiser(tmp_path: Path) -> None:
    import gguf

    weights = write_gguf(tmp_path / "m.gguf")
    folder = store.resolve(str(tmp_path / "m.gguf"))
    made = load_file(folder / "model.safetensors")
    for name, qtype in (
        ("model.layers.1.mlp.down_proj.weight", gguf.GGMLQuantizationType.Q5_0),
        ("model.embed_tokens.weight", gguf.GGMLQuantizationType.Q8_0),
    ):
        coarse = gguf.quants.dequantize(gguf.quants.quantize(weights[name], qtype), qtype)
        assert torch.equal(made[name], torch.from_numpy(coarse).to(torch.bfloat16))


def test_tied_head_takes_the_finer_copy_and_padding_is_dropped(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    folder = store.resolve(str(tmp_path / "m.gguf"))
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True
    assert store.record(folder)["tied"] is True
    tokenizer = Tokenizer(folder)
    assert tokenizer.vocab_size == tokenizer.mask_id == MASK_ID
    assert "[PAD261]" not in (folder / "tokenizer.json").read_text()
    assert tokenizer.encode("abc ab") == [257, 32, 256]


def test_untied_head_stays_apart(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", "qwen3_moe")
    folder = store.resolve(str(tmp_path / "m.gguf"))
    assert "lm_head.weight" in load_file(folder / "model.safetensors")


def test_conversion_happens_once_and_is_the_same_every_time(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    first = store.resolve(str(tmp_path / "m.gguf"))
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    again = store.resolve(str(tmp_path / "m.gguf"))
    assert again == first
    assert (again / "model.safetensors").stat().st_mtime_ns == stamp
    other = store.adopt_gguf(tmp_path / "m.gguf", "other")
    assert store.record(other)["tensors_sha256"] == store.record(first)["tensors_sha256"]
    assert store.record(other)["tensors_sha256"] == store.sha256_of(other / "model.safetensors")


def test_cut_short_gguf(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    whole = (tmp_path / "m.gguf").read_bytes()
    for size in (0, 3, 20, 200, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        with pytest.raises(WeightsError, match="again"):
            store.resolve(str(tmp_path / "cut.gguf"))
    assert not [path for path in store.models_folder().iterdir() if path.is_dir()]


def test_flipped_header_bytes_never_crash(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    whole = bytearray((tmp_path / "m.gguf").read_bytes())
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[int(random.integers(0, 4000))] = int(random.integers(0, 256))
        (tmp_path / "bad.gguf").write_bytes(damaged)
        try:
            GGUFFile(tmp_path / "bad.gguf").close()
        except WeightsError:
            continue


def test_other_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"not a \.gguf"):
        store.resolve(str(tmp_path / "weights.bin"))


def test_replacing_keeps_the_old_folder_when_the_block_fails(tmp_path: Path) -> None:
    target = tmp_path / "models" / "m"
    target.mkdir(parents=True)
    (target / "a").write_text("old")

    def fail() -> None:
        with store.replacing(target) as folder:
            (folder / "a").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (target / "a").read_text() == "old"
    with store.replacing(target) as folder:
        (folder / "a").write_text("new")
    assert (target / "a").read_text() == "new"
    assert [path.name for path in target.parent.iterdir() if path.is_dir()] == ["m"]


@pytest.mark.parametrize("name", ["tiny", "tiny-qwen3", "tiny-qwen3-moe"])
def test_tiny_loads_in_transformers(name: str) -> None:
    from transformers import AutoModelForCausalLM

    model, report = AutoModelForCausalLM.from_pretrained(store.resolve(name), output_loading_info=True)
    assert not any(
        report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")
    )
    logits = model(torch.arange(9)[None]).logits.detach()
    assert 0.5 < float(logits.std()) < 10


def test_tiny_is_the_same_for_a_seed(tmp_path: Path) -> None:
    a, b, c = (tiny_folder(tmp_path / str(i), seed=seed) for i, seed in enumerate((3, 3, 4)))
    hashes = [store.record(folder)["tensors_sha256"] for folder in (a, b, c)]
    assert hashes[0] == hashes[1] != hashes[2]
