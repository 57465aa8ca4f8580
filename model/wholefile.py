"""Files that are written whole or not at all: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: synced and renamed to `path` when the block ends well, else removed.

    No two writers of one file share that name, be they threads or processes; the last one wins.
    """
    work = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        yield work
        with work.open("rb") as file:
            os.fsync(file.fileno())
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """The file has this content, text as UTF-8, or the content it had. Raises OSError."""
    with beside(path) as work:
        work.write_bytes(content.encode() if isinstance(content, str) else content)
