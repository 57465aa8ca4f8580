"""`adopt(path, name)`: take weights that are on this machine already into the store."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from model import store
from model.errors import PullError, WeightsError
from model.names import NAMED
from model.pulled import NO_SPACE, Pulled, Report, hash_tensors, record_of, source_sha


def adopt(path: Path, name: str | None, *, report: Report = lambda stage, done, total: None) -> Pulled:
    """Take a local `.gguf` file or model folder into the store, under `name` (default: the named model it is
    by its sha256, else its own file name). A folder's files are hard-linked where the file system allows it.

    Raises WeightsError when there are no usable weights, PullError when the file is not the named model it is
    said to be or the disk is full.
    """
    if name is not None and (not name or "/" in name or name.startswith((".", "tiny"))):
        raise PullError(f"{name!r} cannot be a model's name; use letters, digits, '.', '-' and '_'")
    try:
        if path.is_dir():
            return _adopt_folder(path, name or path.resolve().name, report)
        if not path.is_file():
            raise WeightsError(f"no file or folder {path}")
        sha256 = store.sha256_of(path, lambda done, total: report("check", done, total))
        known = next((entry.name for entry in NAMED.values() if entry.sha256 == sha256), None)
        if name in NAMED and name != known:
            raise PullError(
                f"{path} is not {name}: its sha256 is {sha256[:12]}..., {NAMED[name].sha256[:12]}... is due"
            )
        chosen = name or known or path.stem
        folder = store.adopt_gguf(path, chosen, lambda done, total: report("convert", done, total), sha256)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise PullError(
                f"the disk of {store.models_folder()} is full; make room and adopt again"
            ) from error
        raise
    return Pulled(chosen, folder, "local", sha256)


def _adopt_folder(path: Path, name: str, report: Report) -> Pulled:
    store.check_folder(path)
    target = store.folder_of(name)
    if target.resolve() == path.resolve():
        raise PullError(f"{path} is already the model {name}")
    found = hash_tensors(path, report)
    entry = NAMED.get(name)
    if entry is not None and entry.kind == "gguf":
        # Heads are bound to the tensors, so the name stands for those made from the published file alone.
        made = store.record(path)
        if source_sha(made) != entry.sha256 or made.get("tensors_sha256") != store.combined_sha256(found):
            raise PullError(f"{path} was not made from {entry.file}; give that file, or a name of your own")
    with store.replacing(target) as folder:
        files = [file for file in sorted(path.iterdir()) if file.is_file() and file.name != store.RECORD]
        for index, file in enumerate(files):
            _link_or_copy(file, folder / file.name)
            report("copy", index + 1, len(files))
        source = {"folder": path.resolve().name}
        if entry is not None and entry.kind == "gguf":
            source = {"file": entry.file, "sha256": entry.sha256}
        record = record_of(name, found, source, folder)
        store.write_record(folder, record)
    return Pulled(name, target, "local", source_sha(record))


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy2(source, target)
