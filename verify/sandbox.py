"""The contract that every sandbox keeps, and the data that crosses it.

A sandbox starts two things: a fork server (`serve`) for function, test-source and program checks, and a
single command (`command`) for test commands in a workspace. `verify.self_check` is the contract as tests; it
runs on every backend.

Errors: `SandboxError` (it cannot be started or broke: the caller sees UNAVAILABLE or INTERNAL_ERROR, never a
fault of the candidate). A candidate's own faults are never exceptions; they come back as data.
"""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from verify.limits import Limits


class SandboxError(Exception):
    """The sandbox cannot be started or broke. The message is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a backend is on this machine. `why` and `remedy` are for people, one line each."""

    name: str
    works: bool
    why: str
    remedy: str = ""
    version: str = ""
    isolation: str = ""


@dataclass(slots=True)
class Started:
    """A running process in a sandbox. `oom_kills` counts the kernel's memory kills in it so far (0 if
    unknown).

    `resize` sets the memory and process caps of the whole group before a job; `close` kills and removes
    everything.
    """

    process: subprocess.Popen[bytes]
    close: Callable[[], None]
    oom_kills: Callable[[], int] = field(default=lambda: 0)
    resize: Callable[[Limits], None] = field(default=lambda limits: None)


class Sandbox(ABC):
    """One backend. Thread-safe: `serve` and `command` may be called from several threads."""

    name: str
    mode: str  # how the fork server isolates checks from each other: see verify.inside.confine
    devices: tuple[str, ...] = ()  # bound nodes of the host, whose metadata the server makes read-only

    @abstractmethod
    def probe(self) -> Probe:
        """Try it once for real (cached) and say whether it works. Never raises."""

    @abstractmethod
    def serve(self, argv: Sequence[str], search_path: Sequence[str]) -> Started:
        """Start `python ARGV` with pipes as stdin, stdout, stderr; `search_path` becomes readable."""

    @abstractmethod
    def command(self, argv: Sequence[str], limits: Limits, search_path: Sequence[str]) -> Started:
        """Start `python ARGV` in a fresh sandbox of its own with an empty writable `work_folder()` of
        `disk_mb`.
        """

    @abstractmethod
    def work_folder(self) -> str:
        """Where `command` finds its writable folder, as the command sees it."""

    def close(self) -> None:  # noqa: B027  (most backends hold nothing between calls)
        """Give back what the backend holds."""
