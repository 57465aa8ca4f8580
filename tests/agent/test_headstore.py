"""Versions of heads: which one is loaded, and the way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli import cli, main
from agent.errors import HeadsError
from agent.headstore import HeadStore
from model import load
from model.errors import WeightsError
from model.tiny import tiny_folder


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "heads.json").write_text("{}")
    return folder


def test_what_is_in_use_is_what_is_loaded(tmp_path: Path, made: Path) -> None:
    base, kept = tiny_folder(tmp_path / "base"), HeadStore("base")
    assert load.heads_folder(base, None) is None
    assert kept.add(made, {"summary": "one"}) == 1
    assert load.heads_folder(base, None) is None, "a new version is not in use by itself"
    assert kept.use(1) == 0
    assert load.heads_folder(base, None) == kept.root / "v0001"
    assert kept.add(made, {}) == 2
    assert kept.use(2) == 1
    assert [v.number for v in kept.versions()] == [0, 1, 2]
    assert kept.get(1).note["summary"] == "one"
    assert kept.get(2).note["parent"] == 1
    assert [kept.rollback(), kept.rollback()] == [1, 0]
    assert load.heads_folder(base, None) is None
    with pytest.raises(HeadsError, match="nothing to go back to"):
        kept.rollback()


def test_bad_versions_and_pointers_say_what_to_do(tmp_path: Path, made: Path) -> None:
    base, kept = tiny_folder(tmp_path / "base"), HeadStore("base")
    with pytest.raises(HeadsError, match="no version 3 of its heads; there are 0"):
        kept.use(3)
    kept.use(kept.add(made, {}))
    (kept.root / "v0001" / "heads.json").unlink()
    with pytest.raises(WeightsError, match="agent heads use 0"):
        load.heads_folder(base, None)
    for content in ("{", '{"current": "x"}', '{"current": -1}', "[]"):
        (kept.root / load.HEADS_POINTER).write_text(content)
        with pytest.raises(WeightsError, match="damaged"):
            load.heads_folder(base, None)
        with pytest.raises(HeadsError, match="damaged"):
            _ = kept.current
        assert kept.use(0) == 0
        assert load.heads_folder(base, None) is None


def test_a_copy_that_fails_leaves_no_version(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    kept = HeadStore("base")
    monkeypatch.setattr("agent.headstore.shutil.copytree", full)
    with pytest.raises(HeadsError, match="No space left"):
        kept.add(made, {})
    assert [v.number for v in kept.versions()] == [0]


def test_the_commands(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    HeadStore("base").add(made, {"summary": "better [red]"})

    def heads(*args: str) -> str:
        return CliRunner().invoke(cli, ["heads", *args, "--base", "base"], catch_exceptions=False).stdout

    assert "version 1 of the heads is in use (before: 0)" in heads("use", "1")
    rows = json.loads(heads("list", "--json"))
    assert [(r["version"], r["in_use"], r["note"]) for r in rows] == [
        (0, False, "the bare base"),
        (1, True, "better [red]"),
    ]
    assert "better [red]" in heads("list")
    assert json.loads(heads("rollback", "--json")) == {"base": "base", "version": 0, "before": 1}
    with pytest.raises(SystemExit) as end:
        main(["heads", "use", "7", "--base", "base"])
    assert end.value.code == 2
    assert "no version 7" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["heads", "show", "--base", "base"])
    assert end.value.code == 2
    assert "version 1 of base was made by no round" in capsys.readouterr().err


def test_the_commands_take_the_folder_of_a_base(
    tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_folder(tmp_path / "base")
    HeadStore("base").add(made, {"summary": "one"})
    done = CliRunner().invoke(cli, ["heads", "list", "--json", "--base", str(folder)])
    assert [row["note"] for row in json.loads(done.stdout)] == ["the bare base", "one"]
    with pytest.raises(SystemExit) as end:
        main(["heads", "show", "--base", f"{tmp_path}/bin/model"])
    assert end.value.code == 4
    assert "no model, folder or file" in capsys.readouterr().err


def test_a_name_that_nothing_is_known_of() -> None:
    with pytest.raises(HeadsError, match="did you mean qwen2\\.5-coder-0\\.5b"):
        HeadStore.of("qwen2.5-coder-0.5")
    assert HeadStore.of("tiny").versions()[0].number == 0
