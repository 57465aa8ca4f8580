"""Where a run stands, folded from its events: what side panel, prompt frame and info bar show."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from agent.events import (
    Decoded,
    Done,
    Edited,
    Event,
    ModelAnswered,
    ModelCalled,
    Repairing,
    Restored,
    RunStatus,
    Scaffolded,
    Started,
    Verified,
)
from tui.drafts import Drafts

Stage = Literal["plan", "scaffold", "infill", "verify", "repair"]
STAGES: tuple[Stage, ...] = ("plan", "scaffold", "infill", "verify", "repair")
Mark = Literal["todo", "active", "done", "failed"]

_ENDINGS: dict[RunStatus, Mark] = {"solved": "done", "cancelled": "todo"}
GLYPHS: dict[Mark, str] = {"todo": "○", "active": "●", "done": "✓", "failed": "✗"}


@dataclass
class Progress:
    """One run. `clock` returns seconds; tests pass a clock of their own."""

    clock: Callable[[], float] = time.monotonic
    session_id: str = ""
    stage: Stage | None = None
    marks: dict[Stage, Mark] = field(default_factory=lambda: dict.fromkeys(STAGES, "todo"))
    calls: int = 0
    repairs: int = 0
    tokens: int = 0
    forwards: int = 0
    decode_s: float = 0.0
    heads: dict[str, int] = field(default_factory=dict)
    drafts: Drafts = field(default_factory=Drafts)
    files: dict[str, Literal["+", "~"]] = field(default_factory=dict)
    context_tokens: int = 0
    done: Done | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    _call_tokens: int = 0
    _call_forwards: int = 0
    _call_started: float = 0.0

    def __post_init__(self) -> None:
        self.started_at = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds so far; the loop's own figure once it is done."""
        if self.done is not None:
            return self.done.wall_s
        return (self.clock() if self.ended_at is None else self.ended_at) - self.started_at

    @property
    def tokens_per_forward(self) -> float:
        return self.tokens / self.forwards if self.forwards else 0.0

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.decode_s if self.decode_s > 0 else 0.0

    def apply(self, event: Event) -> None:
        match event:
            case Started():
                self.session_id = event.session_id
            case ModelCalled():
                self._enter(event.phase)
                self.calls += 1
                self.drafts.new_call()
                self._call_tokens, self._call_forwards = self.tokens, self.forwards
                self._call_started = self.decode_s
            case Decoded():
                step = event.step
                self.tokens += len(step.committed)
                self.forwards += 1
                self.decode_s += step.ms / 1000
                self.drafts.apply(step)
                if step.committed:
                    self.heads[step.head] = self.heads.get(step.head, 0) + len(step.committed)
            case ModelAnswered():
                generation = event.generation
                self.tokens = self._call_tokens + generation.tokens
                self.forwards = self._call_forwards + generation.forwards
                self.decode_s = self._call_started + generation.wall_s
                self.context_tokens = generation.prompt_tokens + generation.tokens
                self.marks[event.phase] = "done"
            case Scaffolded():
                self.marks["scaffold"] = "done"
            case Edited():
                self.files.setdefault(event.path, "+" if event.created else "~")
            case Verified():
                self._enter("verify")
                self.marks["verify"] = "done" if event.verdict.ok else "failed"
                if self.marks["repair"] in ("active", "done"):
                    self.marks["repair"] = "done" if event.verdict.ok else "failed"
            case Repairing():
                self.repairs = event.attempt
                self._enter("repair")
            case Restored():
                self.files.clear()
            case Done():
                self.done = event
                self.ended_at = self.clock()
                self.tokens, self.forwards = event.tokens, event.forwards
                self.repairs = event.repairs
                self._leave(_ENDINGS.get(event.status, "failed"))
            case _:
                pass

    def _enter(self, stage: Stage) -> None:
        self._leave("done")
        self.stage = stage
        self.marks[stage] = "active"

    def _leave(self, mark: Mark) -> None:
        if self.stage is not None and self.marks[self.stage] == "active":
            self.marks[self.stage] = mark
        self.stage = None
