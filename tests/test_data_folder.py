"""TRIHEAD_HOME is read by all four command lines."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["agent", "evals", "model", "verify"])
def test_a_file_is_no_data_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "file"
    home.touch()
    monkeypatch.setenv("TRIHEAD_HOME", str(home))
    monkeypatch.setattr("sys.argv", [name, "--version"])
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"{name}.cli").main()
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: TRIHEAD_HOME is {home}, which is no folder; set it to one\n"
