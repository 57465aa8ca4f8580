"""Where control goes on: definitions that stand for places in a Python function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Jump:
    """A place to continue at: a definition and the Python variables it is given. No `target`: the
    function's end."""

    target: str
    variables: list[str]

    @property
    def reads(self) -> set[str]:
        return set(self.variables)


@dataclass(slots=True)
class Loop:
    """Where `continue` and `break` of the innermost loop go."""

    again: Jump
    leave: Jump | None
