"""How a run ends early: exceptions as control flow, each with the run's status and exit code."""

from __future__ import annotations

from agent.events import RunStatus


class Stop(Exception):
    """Ends the loop; the message is one line for a person ('' when nothing needs saying)."""

    status: RunStatus = "error"
    exit_code = 1


class Unsolved(Stop):
    """The attempts are used up and the tests still fail."""

    status: RunStatus = "failed"


class LimitReached(Stop):
    """Steps, tokens or time are used up."""

    status: RunStatus = "limit"
    exit_code = 3


class Unusable(Stop):
    """The model failed, or gave no usable edit too many times in a row."""

    exit_code = 4


class Infrastructure(Stop):
    """The sandbox cannot run here, or we failed: nothing is known about the code."""

    exit_code = 5


class Cancelled(Stop):
    """A person ended the run."""

    status: RunStatus = "cancelled"
    exit_code = 130
