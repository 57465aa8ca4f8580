"""The terminal is the app's alone while it runs.

Libraries (torch, tokenizers, a sandbox's helper) write to file descriptors 1 and 2 behind Python's back, and
one such line tears the screen. `own_terminal` gives the app private copies of both; the rest goes to a log.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def own_terminal(log: Path) -> Iterator[None]:
    """Redirect descriptors 1 and 2 to `log` (appended to); Textual keeps drawing on the terminal.

    Raises OSError when the log cannot be opened.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {fd: os.dup(fd) for fd in (1, 2)}
    before = {name: vars(sys)[name] for name in ("stdout", "stderr", "__stdout__", "__stderr__")}
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with (
        open(saved[1], "w", encoding="utf-8", closefd=False) as stdout,
        open(saved[2], "w", encoding="utf-8", closefd=False) as stderr,
    ):
        try:
            for fd in saved:
                os.dup2(target, fd)
            # Textual writes to sys.__stderr__ and asks sys.__stdout__ for the terminal's size. typeshed calls
            # the two final; a process that moves its terminal has to move them all the same.
            vars(sys).update(stdout=stdout, stderr=stderr, __stdout__=stdout, __stderr__=stderr)
            yield
        finally:
            stdout.flush()
            stderr.flush()
            for fd, copy in saved.items():
                os.dup2(copy, fd)
                os.close(copy)
            os.close(target)
            vars(sys).update(before)
