"""How a run is made. Flags win over the task file's limits, which win over the defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.session import Session
from agent.task import RunLimits
from model.request import Decode
from verify.checker import Checker, open_checker


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one run.

    max_steps: model calls at most. max_repairs: repairs after the first answer. max_tokens: generated tokens
    of the whole run. call_tokens: of one answer. timeout: seconds of the whole run. temperature: of first
    answers; repairs raise it when the model repeats itself. keep: leave the files as the last attempt wrote
    them when the task fails. plan: ask for a short plan first. session: where the run is recorded (None:
    nowhere, as in evaluations). open_checker: opens the fresh sandbox of the last check.
    """

    decode: Decode = "auto"
    max_steps: int = 12
    max_repairs: int = 3
    max_tokens: int = 4096
    call_tokens: int = 512
    timeout: float = 600.0
    temperature: float = 0.0
    seed: int = 0
    keep: bool = False
    plan: bool = True
    session: Session | None = None
    open_checker: Callable[[], Checker] = open_checker

    def settings(self) -> dict[str, Any]:
        """The plain values, for records."""
        fields = (f.name for f in dataclasses.fields(self) if f.name not in ("session", "open_checker"))
        return {name: getattr(self, name) for name in fields}

    @classmethod
    def merge(cls, limits: RunLimits, **flags: Any) -> Options:
        """Options from a task's limits and the flags that are not None."""
        chosen = {k: v for k, v in dataclasses.asdict(limits).items() if v is not None}
        chosen |= {k: v for k, v in flags.items() if v is not None}
        return cls(**chosen)
