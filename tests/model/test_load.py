"""Which heads a base gets, and which model `default` is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from model import load as loading
from model import store
from model.cli import cli
from model.errors import RequestError, WeightsError
from model.names import DEFAULT
from model.tiny import tiny_folder

HEADS = {
    "config": {"heads": {"diffusion_head": {"role": "draft", "r": 4, "alpha": 8}}},
    "training": {"steps": 3, "config": {"nested": 1}},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def place_heads(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "heads.json").write_text(json.dumps(HEADS))
    return folder


def test_promoted_heads_go_before_shipped_ones(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_folder(tmp_path / "base")
    assert loading.heads_folder(base, None) is None
    monkeypatch.setattr(loading, "__file__", str(tmp_path / "site" / "model" / "load.py"))
    checkout = place_heads(tmp_path / "site" / "heads" / "base")
    assert loading.heads_folder(base, None) == checkout
    packed = place_heads(tmp_path / "site" / "model" / "shipped_heads" / "base")
    assert loading.heads_folder(base, None) == packed
    promoted = place_heads(home / "heads" / "base")
    assert loading.heads_folder(base, None) == promoted
    assert loading.heads_folder(base, "none") is None
    assert loading.heads_folder(base, str(checkout)) == checkout
    with pytest.raises(WeightsError, match="no heads at"):
        loading.heads_folder(base, str(tmp_path / "nowhere"))


def test_info_shows_the_heads(home: Path) -> None:
    place_heads(home / "heads" / "tiny")
    found = json.loads(CliRunner().invoke(cli, ["info", "tiny", "--json"], catch_exceptions=False).stdout)[
        "heads"
    ]
    assert found["heads"] == {"diffusion_head": {"role": "draft", "r": 4, "alpha": 8}}
    assert found["training"] == {"steps": 3}
    assert found["sha256"] == store.sha256_of(home / "heads" / "tiny" / "heads.json")
    shown = CliRunner().invoke(cli, ["info", "tiny"], catch_exceptions=False).stdout
    assert "role draft, r 4, alpha 8" in shown
    (home / "heads" / "tiny" / "heads.json").write_text("{")
    with pytest.raises(WeightsError, match=r"heads\.json cannot be read"):
        CliRunner().invoke(cli, ["info", "tiny"], catch_exceptions=False)


def test_default_is_the_small_one_on_a_cpu(home: Path) -> None:
    assert loading.default_name("cpu") == DEFAULT


def test_impossible_context(home: Path) -> None:
    with pytest.raises(RequestError, match="context of 0"):
        loading.load("tiny", context=0)
