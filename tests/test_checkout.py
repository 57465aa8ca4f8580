"""The packages run from a checkout on PYTHONPATH, as the offline kit runs them: no metadata is there."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a Python that has every package but this one's metadata."""
    packages = tmp_path_factory.mktemp("packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().startswith("trihead"):
            (packages / entry.name).symlink_to(entry)
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{packages}"}


def run(environment: dict[str, str], code: str, *args: str) -> subprocess.CompletedProcess[str]:
    # -S: site would read the .pth of an editable install.
    command = [sys.executable, "-S", "-c", code, *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_there_is_no_metadata(environment: dict[str, str]) -> None:
    done = run(environment, "from importlib.metadata import version; version('trihead')")
    assert "PackageNotFoundError" in done.stderr


@pytest.mark.parametrize("name", ["agent", "evals", "model", "verify"])
def test_the_commands_know_their_version(environment: dict[str, str], name: str) -> None:
    done = run(environment, f"from {name}.cli import main; main()", "--version")
    assert done.stdout == f"{name}, version {VERSION}\n"


def test_a_trajectory_names_the_version(environment: dict[str, str]) -> None:
    done = run(environment, "from agent.atif import build; print(build([])['agent']['version'])")
    assert done.stdout == f"{VERSION}\n", done.stderr


def test_a_run_of_evals_names_the_version(environment: dict[str, str]) -> None:
    code = """
from evals.benchmark import open_benchmark
from evals.run import make_config
from evals.settings import Settings
config = make_config(open_benchmark("repair"), Settings(benchmark="repair", model="file"), {}, [])
print(config["versions"]["trihead"])
"""
    done = run(environment, code)
    assert done.stdout == f"{VERSION}\n", done.stderr


def test_the_judges_of_on_policy_learning_are_found(environment: dict[str, str]) -> None:
    code = "from model.train.verifier import installed; print(installed('python').fence)"
    done = run(environment, code)
    assert done.stdout == "python\n", done.stderr
