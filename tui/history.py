"""Prompts typed before, kept over sessions: `history.jsonl` in the data folder, one JSON string a line."""

from __future__ import annotations

import json
from pathlib import Path

KEEP = 500


class PromptHistory:
    """A list with a cursor that walks back and forth; what was being typed is kept at its end.

    An unreadable or unwritable file costs old prompts, never the session: `problem` then says so.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.problem = ""
        self._entries = self._read()
        self._cursor = len(self._entries)
        self._draft = ""

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, text: str) -> None:
        """Remember `text` as the newest prompt, unless it repeats the last one."""
        if text and (not self._entries or self._entries[-1] != text):
            self._entries.append(text)
            self._append(text)
        self._cursor = len(self._entries)
        self._draft = ""

    def previous(self, current: str) -> str | None:
        """The prompt before the one at the cursor; None at the beginning."""
        if self._cursor == 0:
            return None
        if self._cursor == len(self._entries):
            self._draft = current
        self._cursor -= 1
        return self._entries[self._cursor]

    def next(self) -> str | None:
        """The prompt after the one at the cursor, at last what was being typed; None beyond that."""
        if self._cursor >= len(self._entries):
            return None
        self._cursor += 1
        return self._draft if self._cursor == len(self._entries) else self._entries[self._cursor]

    def _read(self) -> list[str]:
        if self._path is None:
            return []
        try:
            lines = self._path.read_text(encoding="utf-8").split("\n")
            entries = [json.loads(line) for line in lines if line]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            self.problem = f"prompt history not read: {error}"
            return []
        return [entry for entry in entries if isinstance(entry, str)][-KEEP:]

    def _append(self, text: str) -> None:
        if self._path is None or self.problem:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(text) + "\n")
        except OSError as error:
            self.problem = f"prompt history not saved: {error}"
