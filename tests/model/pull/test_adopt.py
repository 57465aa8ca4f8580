"""Local weights taken into the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import names, store
from model.adopt import adopt
from model.errors import PullError, WeightsError
from model.names import Named
from model.tiny import tiny_folder
from tests.model.gguf_files import write_gguf
from tests.model.pull.conftest import entry


def test_adopt_a_gguf_by_its_hash(named: Named, gguf: bytes, tmp_path: Path) -> None:
    (tmp_path / "local.gguf").write_bytes(gguf)
    done = adopt(tmp_path / "local.gguf", None)
    assert (done.name, done.source) == ("small", "local")
    assert store.is_pulled("small")
    assert adopt(tmp_path / "local.gguf", "mine").folder == store.resolve("mine")


def test_adopt_refuses_another_file_under_a_known_name(named: Named, tmp_path: Path) -> None:
    write_gguf(tmp_path / "other.gguf", seed=9)
    with pytest.raises(PullError, match=r"is not small: its sha256"):
        adopt(tmp_path / "other.gguf", "small")
    with pytest.raises(PullError, match="was not made from"):
        adopt(tiny_folder(tmp_path / "folder"), "small")
    with pytest.raises(PullError, match="cannot be a model's name"):
        adopt(tmp_path / "other.gguf", "../x")


def test_adopt_a_folder(named: Named, gguf: bytes, tmp_path: Path) -> None:
    source = tiny_folder(tmp_path / "folder")
    done = adopt(source, None)
    assert done.name == "folder"
    made = store.record(done.folder)
    assert made["tensors_sha256"] == store.sha256_of(source / "model.safetensors")
    assert made["tokenizer_sha256"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"it lacks config.json"):
        adopt(tmp_path / "empty", None)


def test_adopt_a_folder_as_a_model_of_the_hub(
    named: Named, gguf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names.NAMED, "small", entry(gguf, kind="folder", sha256="", mirror=None))
    done = adopt(tiny_folder(tmp_path / "folder"), "small")
    assert done.sha256 == store.record(store.resolve("small"))["tensors_sha256"]


def test_adopt_a_folder_that_another_machine_converted(named: Named, gguf: bytes, tmp_path: Path) -> None:
    (tmp_path / "local.gguf").write_bytes(gguf)
    copy = tmp_path / "copied"
    adopt(tmp_path / "local.gguf", None).folder.rename(copy)
    assert adopt(copy, "small").sha256 == named.sha256
    assert store.is_pulled("small")
