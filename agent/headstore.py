"""Versions of a base's heads: 0 is what ships, 1, 2, ... are made by `agent finetune`.

    <data>/heads/<base>/v0001/          a heads folder, never changed once it is there
    <data>/heads/<base>/v0001/version.json   parent, when, why: the report of the round that made it
    <data>/heads/<base>/current.json    {"current": 1, "history": [0]}: what `model.load` picks up

A version is copied in under another name and renamed, so a half-copied one never has a number.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import HeadsError
from model import load, store
from model.errors import WeightsError
from model.names import NAMED, nearest
from model.wholefile import write_whole

SHIPPED = 0


@dataclass(frozen=True, slots=True)
class Version:
    """number 0 is the shipped set; folder None: the bare base, which ships without heads."""

    number: int
    folder: Path | None
    note: dict[str, Any]


class HeadStore:
    """The versions of one base, by the name its heads are kept under (model.load.heads_name)."""

    @classmethod
    def of(cls, base: str) -> HeadStore:
        """Of a base as `--model` takes it: a name, or a folder or file. Raises WeightsError for a path that
        is no base, HeadsError for a name that nothing is known of."""
        if os.sep in base:
            return cls(load.heads_name(store.resolve(base)))
        kept = cls(base)
        if not (base in NAMED or base.startswith("tiny") or kept.root.is_dir() or kept.versions()[0].folder):
            raise HeadsError(
                f"no base {base!r}{nearest(base)}: 'model info' lists the names; or give a folder"
            )
        return kept

    def __init__(self, name: str) -> None:
        self.name = name
        self.root = store.home() / "heads" / name

    def versions(self) -> list[Version]:
        """All of them, the shipped one first."""
        found = [Version(SHIPPED, load.shipped_heads(self.name), {})]
        for path in sorted(self.root.glob("v[0-9]*")):
            if (path / "heads.json").is_file() and path.name[1:].isdigit():
                found.append(Version(int(path.name[1:]), path, _note(path)))
        return found

    def get(self, number: int) -> Version:
        """Raises HeadsError for a version that does not exist."""
        versions = self.versions()
        for version in versions:
            if version.number == number:
                return version
        known = ", ".join(str(v.number) for v in versions)
        raise HeadsError(f"{self.name} has no version {number} of its heads; there are {known}")

    @property
    def current(self) -> int:
        """The version in use. Raises HeadsError for a damaged pointer."""
        try:
            return load.version_in_use(self.name) or SHIPPED
        except WeightsError as error:
            raise HeadsError(str(error)) from error

    def use(self, number: int) -> int:
        """Make a version the one that is loaded by default; returns the one it replaces."""
        self.get(number)
        try:
            before, history = self.current, self._history()
        except HeadsError:  # a damaged pointer: this is how it is mended
            before, history = SHIPPED, []
        if number != before:
            history.append(before)
        self._point(number, history)
        return before

    def rollback(self) -> int:
        """Go back to the version used before this one; returns it. Raises HeadsError when there is none."""
        history = self._history()
        if not history:
            raise HeadsError(f"{self.name} has used no other heads; there is nothing to go back to")
        number = history.pop()
        self.get(number)
        self._point(number, history)
        return number

    def add(self, heads: Path, note: dict[str, Any]) -> int:
        """Copy a heads folder in as the next version; returns its number. It is not in use yet.

        Raises HeadsError when it cannot be written.
        """
        number = max(v.number for v in self.versions()) + 1
        partial = self.root / f".partial-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(heads, partial)
            made = {
                "parent": self.current,
                "made": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}",
            }
            write_whole(partial / "version.json", json.dumps(made | note, indent=1))
            os.rename(partial, load.version_folder(self.name, number))
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise HeadsError(f"{self.root}: the new version cannot be written ({error.strerror})") from error
        return number

    def _history(self) -> list[int]:
        path = self.root / load.HEADS_POINTER
        if not path.exists():
            return []
        try:
            return [int(number) for number in json.loads(path.read_text("utf-8"))["history"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HeadsError(f"{path} is damaged; 'agent heads use 0' writes it anew") from error

    def _point(self, number: int, history: list[int]) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            row = {"current": number, "history": history}
            write_whole(self.root / load.HEADS_POINTER, json.dumps(row))
        except OSError as error:
            raise HeadsError(f"{self.root}: cannot be written ({error.strerror})") from error


def _note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads((path / "version.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
