"""The one event stream of the agent: everything a run does, in order, as frozen values.

The CLI, `--output stream-json`, the TUI and the trajectory writer consume this stream; none of them reaches
into the loop. Text in events comes from models and programs: it is untrusted and must be escaped where it is
shown (`agent.untrusted`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from model.request import Generation, Message, ModelInfo, Step
from verify.verdict import Verdict

Phase = Literal["plan", "scaffold", "infill", "repair"]
RunStatus = Literal["solved", "failed", "limit", "error", "cancelled"]


@dataclass(frozen=True, slots=True)
class Event:
    type: ClassVar[str] = "event"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the event's type and its fields."""
        return {
            "type": self.type,
            **{f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)},
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Verdict):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class Started(Event):
    """First event of a run. `task` is its text; `settings` are the options the run was made with."""

    type: ClassVar[str] = "started"
    session_id: str
    task: str
    model: str
    decode: str
    workdir: str
    trajectory: str
    name: str = ""
    source: str = "user"
    info: ModelInfo | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelCalled(Event):
    """A model call begins; `messages` is exactly what the model is given."""

    type: ClassVar[str] = "model_called"
    phase: Phase
    call: int
    messages: tuple[Message, ...]
    max_tokens: int = 0
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Decoded(Event):
    """One decoding step (denoise step, draft, or a single token)."""

    type: ClassVar[str] = "decoded"
    phase: Phase
    call: int
    step: Step


@dataclass(frozen=True, slots=True)
class ModelAnswered(Event):
    """The call's finished answer."""

    type: ClassVar[str] = "model_answered"
    phase: Phase
    call: int
    generation: Generation


@dataclass(frozen=True, slots=True)
class Planned(Event):
    type: ClassVar[str] = "planned"
    text: str


@dataclass(frozen=True, slots=True)
class Scaffolded(Event):
    """Signature and docstring are fixed; the body comes next. origin: `task`, `file` or `model`."""

    type: ClassVar[str] = "scaffolded"
    text: str
    entry: str
    origin: str


@dataclass(frozen=True, slots=True)
class FormatFailed(Event):
    """An answer held no usable edit; `reason` goes back to the model."""

    type: ClassVar[str] = "format_failed"
    reason: str
    consecutive: int


@dataclass(frozen=True, slots=True)
class Edited(Event):
    """A file of the workspace changed. `diff` is unified."""

    type: ClassVar[str] = "edited"
    path: str
    diff: str
    created: bool


@dataclass(frozen=True, slots=True)
class Verified(Event):
    """A verdict. `fresh`: the final check in a new sandbox."""

    type: ClassVar[str] = "verified"
    verdict: Verdict
    attempt: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Repairing(Event):
    type: ClassVar[str] = "repairing"
    attempt: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Restored(Event):
    """The workspace was put back as it was."""

    type: ClassVar[str] = "restored"
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done(Event):
    """Last event of a run, also after an error or a cancel. `error` is one line for a person."""

    type: ClassVar[str] = "done"
    status: RunStatus
    exit_code: int
    session_id: str
    trajectory: str
    verdict: Verdict | None
    files_changed: tuple[str, ...]
    steps: int
    repairs: int
    tokens: int
    forwards: int
    tokens_per_forward: float
    wall_s: float
    error: str = ""
