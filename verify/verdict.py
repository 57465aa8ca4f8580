"""The verdict of record: what a check found, and whether it may be used as a reward.

A status is closed: every check ends in exactly one of them, and each names who is to blame. Only the
candidate's own faults may become a reward of zero; UNSUPPORTED, UNAVAILABLE, REFUSED and INTERNAL_ERROR
say nothing about the candidate and are masked out of training and counted apart in evaluations.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any


class Status(enum.StrEnum):
    """Why a check ended. The comment names who sees it: (c) the candidate's fault, (h) ours or the host's."""

    PASSED = "passed"  # every case matched
    FAILED = "failed"  # (c) ran, and at least one case did not match, or it left early
    COMPILE_ERROR = "compile_error"  # (c) does not parse, import or define the entry point
    TYPE_ERROR = "type_error"  # (c) refused by a static type checker (Bend)
    RUNTIME_ERROR = "runtime_error"  # (c) raised, crashed or was killed by a signal of its own making
    TIMEOUT = "timeout"  # (c) wall or CPU time limit
    FUEL = "fuel"  # (c) interaction limit: deterministic, unlike TIMEOUT
    OOM = "oom"  # (c) memory limit
    OUTPUT_LIMIT = "output_limit"  # (c) printed or returned more than the cap
    BAD_OUTPUT = "bad_output"  # (c) returned something the codec does not accept
    REFUSED = "refused"  # (h) the gate would not run it; never a reward
    UNSUPPORTED = "unsupported"  # (h) no tests, or a construct outside the supported subset; never a reward
    UNAVAILABLE = "unavailable"  # (h) the backend is not installed or cannot run here; never a reward
    INTERNAL_ERROR = "internal_error"  # (h) our own fault; never a reward


NEVER_A_REWARD = frozenset({Status.REFUSED, Status.UNSUPPORTED, Status.UNAVAILABLE, Status.INTERNAL_ERROR})
DETERMINISTIC = frozenset(
    {
        Status.PASSED,
        Status.FAILED,
        Status.COMPILE_ERROR,
        Status.TYPE_ERROR,
        Status.RUNTIME_ERROR,
        Status.FUEL,
        Status.BAD_OUTPUT,
    }
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check.

    `per_case` holds one flag a case in the order of the request (None: the case did not run). Times are in
    milliseconds; a stage that did not happen is None. `stdout`, `stderr` and `detail` are untrusted text,
    cut at the limits' cap, and must not reach a terminal unescaped.
    """

    status: Status
    passed: int = 0
    total: int = 0
    per_case: tuple[bool | None, ...] = ()
    detail: str = ""
    backend: str = ""
    backend_version: str = ""
    isolation: str = ""
    lang: str = "python"
    wall_ms: float = 0.0
    queue_ms: float = 0.0
    compile_ms: float | None = None
    eval_ms: float | None = None
    interactions: int | None = None
    max_rss_kb: int | None = None
    stdout: str = ""
    stderr: str = ""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    cached: bool = False
    key: str = ""

    @property
    def ok(self) -> bool:
        return self.status is Status.PASSED

    @property
    def score(self) -> float:
        """passed / total in [0, 1] where the candidate ran, else 0.0."""
        if self.status in NEVER_A_REWARD or not self.total:
            return 0.0
        return self.passed / self.total

    @property
    def rewardable(self) -> bool:
        return self.status not in NEVER_A_REWARD

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with the derived `score` and `ok`."""
        fields = dataclasses.asdict(self)
        fields["status"] = str(self.status)
        fields["per_case"] = list(self.per_case)
        return {**fields, "score": self.score, "ok": self.ok}
