"""End to end with the real 0.5B: the first example, greedy, in the real sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.session import data_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own that sees the machine's pulled weights."""
    monkeypatch.delenv("TRIHEAD_HOME")
    models = data_folder() / "models"
    if not (models / "qwen2.5-coder-0.5b").exists():
        pytest.skip("qwen2.5-coder-0.5b is not pulled; 'model pull qwen2.5-coder-0.5b'")
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models)
    return home


@pytest.mark.real
def test_fizzbuzz_is_solved(tmp_path: Path, pulled: Path) -> None:
    task = ROOT / "examples" / "01-fizzbuzz"
    folder = tmp_path / "task"
    shutil.copytree(task, folder)
    command = [sys.executable, "-m", "agent.cli", "run", "task.md", "--model", "qwen2.5-coder-0.5b"]
    done = subprocess.run(
        [*command, "--output", "json"],
        cwd=folder, env={**os.environ, "TRIHEAD_HOME": str(pulled)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "solved"
    assert result["files_changed"] == ["fizzbuzz.py"]
    document = json.loads(Path(result["trajectory"]).read_text())
    infill = document["steps"][-1]
    assert len(infill["metrics"]["completion_token_ids"]) == infill["metrics"]["completion_tokens"]
    assert len(infill["metrics"]["logprobs"]) == infill["metrics"]["completion_tokens"]
    assert document["agent"]["extra"]["model"]["base_sha256"]
