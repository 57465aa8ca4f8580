"""What a run has used and may still use: model calls, generated tokens, seconds."""

from __future__ import annotations

import threading
import time

from agent.options import Options
from agent.stops import Cancelled, LimitReached
from model.request import Generation


class Budget:
    """Starts its clock when made."""

    def __init__(self, options: Options, cancel: threading.Event) -> None:
        self.steps = self.tokens = self.forwards = 0
        self._options = options
        self._cancel = cancel
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def seconds_left(self) -> float:
        return self._options.timeout - self.seconds

    @property
    def tokens_left(self) -> int:
        return self._options.max_tokens - self.tokens

    @property
    def interrupted(self) -> bool:
        """Whether a model call under way should end now."""
        return self._cancel.is_set() or self.seconds_left <= 0

    def step(self) -> int:
        """Count a model call; its number."""
        self.steps += 1
        return self.steps

    def add(self, answer: Generation) -> None:
        self.tokens += answer.tokens
        self.forwards += answer.forwards

    def guard(self, *, asking: bool) -> None:
        """Raise Stop when the run may not go on; `asking`: when it may not make another model call."""
        options = self._options
        if self._cancel.is_set():
            raise Cancelled("interrupted")
        if self.seconds_left <= 0:
            raise LimitReached(f"the time limit of {options.timeout:g} s is reached (--timeout)")
        if asking and self.steps >= options.max_steps:
            raise LimitReached(f"the limit of {options.max_steps} model calls is reached (--max-steps)")
        if asking and self.tokens_left <= 0:
            raise LimitReached(f"the limit of {options.max_tokens} tokens is reached (--max-tokens)")
