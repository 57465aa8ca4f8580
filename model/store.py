"""Where weights live on this machine and how a name becomes a model folder.

`resolve(name)` gives a Hugging Face style folder (config.json, safetensors, tokenizer.json, ...). Folders
that this package made carry `trihead.json`: source sha256, tensors' sha256, tokenizer sha256. A folder
appears under its final name only when it is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from model.errors import NotPulledError, WeightsError
from model.names import DEFAULT, NAMED, nearest

RECORD = "trihead.json"
# Raised when a change of the conversion makes other tensors or another tokenizer of the same source.
FORMAT = 1

Progress = Callable[[int, int], None]


def home() -> Path:
    """The data folder: `$TRIHEAD_HOME`, else the platform's."""
    chosen = os.environ.get("TRIHEAD_HOME")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("trihead"))


def models_folder() -> Path:
    return home() / "models"


def folder_of(name: str) -> Path:
    """Where the named model lies or would lie."""
    return models_folder() / name


def record(folder: Path) -> dict[str, Any]:
    """The folder's `trihead.json`, {} when it has none or it cannot be read."""
    try:
        value = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


# A prefix alone -> what belongs behind it.
_FORMS = {
    "": f"a name ({DEFAULT}), a folder or a .gguf file",
    "scripted:": "scripted:FILE",
    "openai:": "openai:URL#MODEL",
    "vllm:": "vllm:NAME",
    "transformers:": "transformers:NAME",
}


def is_pulled(name: str) -> bool:
    return record(folder_of(name)).get("format") == FORMAT


def resolve(name: str, *, progress: Progress = lambda done, total: None) -> Path:
    """The folder of a named model, `tiny`, a folder path, or a `.gguf` file (converted once, by its sha256).

    Raises NotPulledError for a named model that is not here, WeightsError for a path without usable weights.
    """
    if name in _FORMS:
        raise NotPulledError(f"{name!r} names no model: write {_FORMS[name]}")
    if name == "tiny" or name.startswith("tiny-"):
        from model.tiny import tiny_home

        return tiny_home(name)
    if name in NAMED:
        if not is_pulled(name):
            raise NotPulledError(f"{name} is not on this machine; run: model pull {name}")
        check_folder(folder_of(name))
        return folder_of(name)
    path = Path(name).expanduser()
    if path.is_dir():
        check_folder(path)
        return path
    if path.is_file():
        if path.suffix != ".gguf":
            raise WeightsError(f"{path} is not a .gguf file; give a model folder, a .gguf file or a name")
        return adopt_gguf(path, None, progress)
    if "/" not in name and is_pulled(name):
        return folder_of(name)
    known = ", ".join([*NAMED, "tiny"])
    raise NotPulledError(f"no model, folder or file {name!r}{nearest(name)}; known names: {known}")


def check_folder(folder: Path) -> None:
    """Raises WeightsError, saying what is missing, unless the folder holds a checkpoint of safetensors."""
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        raise WeightsError(f"{folder} is not a model folder: it lacks {', '.join(missing)}")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError) as error:
            raise WeightsError(f"{index} is damaged; copy or pull the model again") from error
        absent = sorted(shard for shard in shards if not (folder / shard).is_file())
        if absent:
            raise WeightsError(f"{folder} is incomplete: it lacks {', '.join(absent[:3])}")


def is_whole(folder: Path) -> bool:
    """Whether every file of a checkpoint can be read to its end: a copy that was cut or emptied is not.

    Reads headers only, so bytes that were changed in place are not noticed.
    """
    try:
        check_folder(folder)
        for path in folder.glob("*.json"):
            json.loads(path.read_bytes())
        return all(_covered(path) for path in folder.glob("*.safetensors"))
    except (OSError, ValueError, WeightsError):
        return False


def _covered(path: Path) -> bool:
    """A safetensors file is a length of 8 bytes, a JSON header of that length, then what it describes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = path.stat().st_size
        if length > size:
            return False
        header = json.loads(file.read(length))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return bool(8 + length + max(ends, default=0) == size)


def sha256_of(path: Path, progress: Progress = lambda done, total: None) -> str:
    """The file's sha256, in hex."""
    digest = hashlib.sha256()
    total, done = path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
            done += len(block)
            progress(done, total)
    return digest.hexdigest()


def combined_sha256(found: dict[str, str]) -> str:
    """The sha256 of a checkpoint from {file: sha256}: of its one file, or of the lines `sha256  name` of
    several.
    """
    if len(found) == 1:
        return next(iter(found.values()))
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(found.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def adopt_gguf(
    path: Path,
    name: str | None,
    progress: Progress = lambda done, total: None,
    sha256: str | None = None,
    *,
    again: bool = False,
) -> Path:
    """Convert a GGUF file into the store, as `name` (None: named by its sha256), unless it is there whole
    (again: in any case). Returns the folder.
    """
    from model.convert import convert

    sha256 = sha256 or sha256_of(path)
    name = name or f"gguf-{sha256[:16]}"
    target = folder_of(name)
    made = record(target)
    same = made.get("format") == FORMAT and made.get("source", {}).get("sha256") == sha256
    if same and not again and is_whole(target):
        return target
    with replacing(target) as folder:
        done = convert(path, folder, progress=progress)
        source = {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256}
        write_record(folder, {"name": name, "source": source, **done})
    return target


def write_record(folder: Path, content: dict[str, Any]) -> None:
    text = json.dumps({"format": FORMAT, **content}, indent=2) + "\n"
    (folder / RECORD).write_text(text, encoding="utf-8")


@contextlib.contextmanager
def locked(target: Path, suffix: str = "lock", waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of `target` against other processes; different suffixes are different locks.

    Another holder is waited for; `waiting` is called once before that.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.{suffix}").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of `target` when the block ends well and vanishes when it does
    not.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield work
        work.chmod(0o755)
        with locked(target):
            if target.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
                target.rename(old / "folder")
                work.rename(target)
                shutil.rmtree(old, ignore_errors=True)
            else:
                work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
