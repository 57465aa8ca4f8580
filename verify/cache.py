"""Verdicts on disk by content: the same request on the same backend and version need not run twice.

Only deterministic statuses are kept; a timeout or a full memory may be the machine's mood. The key hashes the
request with the strict codec's canonical bytes, the backend with its version, the Python version, and
`FORMAT`. Entries are written to a temporary name and renamed, so a reader never sees half of one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from verify import codec
from verify.forkserver import bundle, running_python
from verify.request import CheckRequest, CommandCheck
from verify.verdict import DETERMINISTIC, Status, Verdict

FORMAT = 1


def key_of(request: CheckRequest, backend: str, version: str) -> str:
    """The sha256 key, or "" for a request that cannot be cached (a command in a workspace, an odd value)."""
    if isinstance(request, CommandCheck):
        return ""
    try:
        encoded = codec.encode(_plain(request))
    except codec.CodecError:
        return ""
    digest = hashlib.sha256(f"{FORMAT}\0{backend}\0{version}\0{running_python()}\0".encode())
    digest.update(hashlib.sha256(bundle()).digest())
    digest.update(codec.canonical(codec.parse(encoded)))
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Dataclasses as (class name, fields), so that two kinds of request never share a key."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return (type(value).__name__, fields)
    if type(value) is tuple:
        return tuple(_plain(member) for member in value)
    if isinstance(value, Path):
        return str(value)
    return value


class Cache:
    """A folder of verdicts, `ab/abcdef....json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> Verdict | None:
        """The verdict under a key; a damaged entry counts as absent."""
        try:
            fields = json.loads(self._path(key).read_text())
            fields["status"] = Status(fields["status"])
            fields["per_case"] = tuple(fields["per_case"])
            known = {field.name for field in dataclasses.fields(Verdict)}
            return Verdict(**{name: value for name, value in fields.items() if name in known})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict if its status is deterministic. A full disk is no error."""
        if verdict.status not in DETERMINISTIC:
            return
        path = self._path(key)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "w") as file:
                    json.dump(verdict.to_dict(), file)
                os.replace(name, path)
            except OSError:
                os.unlink(name)
                raise
