"""One interface for every way to make tokens: `generate(request) -> iterator of steps`.

A decoder yields one `Step` a forward pass; the last one carries the `Generation`. Everything that shows
progress
(the CLI, the TUI, trajectories) reads steps and nothing else.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from model.errors import RequestError

Decode = Literal["auto", "ar", "diffusion", "verified", "lookup"]
FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """What to generate and how.

    Exactly one of `messages` (rendered with the model's chat template; a trailing assistant message is a
    prefill
    that the answer continues), `prompt` (raw text) or `prompt_ids` is given. Text is never parsed for special
    tokens except by the chat template, so a literal `<|mask|>` stays text.

    max_tokens: new tokens at most. temperature 0 is greedy. stop: strings that end the text; the text is cut
    before
    the first of them, wherever a block boundary falls. block: tokens of a draft block, for `lookup`
    of a pass; threshold: of `diffusion`, the lenience or the confidence that commits (model.rules; None: the
    decoder's choice).
    """

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    prompt_ids: tuple[int, ...] | None = None
    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    decode: Decode = "ar"
    block: int | None = None
    threshold: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raises RequestError for a setting that no model could serve."""
        if self.max_tokens < 0:
            raise RequestError(f"max_tokens is {self.max_tokens}; it must be 0 or more")
        if not 0 <= self.temperature < math.inf:
            raise RequestError(f"temperature is {self.temperature}; it must be 0 or more, and finite")
        if not -(1 << 63) <= self.seed < 1 << 63:
            raise RequestError(f"seed is {self.seed}; it must be a number of 64 bits")
        if not 0 < self.top_p <= 1:
            raise RequestError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if any(not stop for stop in self.stop):
            raise RequestError("a stop string is empty: leave it out")
        if self.block is not None and self.block < 2:
            raise RequestError(f"block is {self.block}; a block is 2 tokens or more")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise RequestError(f"threshold is {self.threshold}; it must be above 0 and at most 1")


@dataclass(frozen=True, slots=True)
class Token:
    """A token at `position` (0 = first generated). confidence: probability the deciding head gave it."""

    position: int
    id: int
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Generation:
    """The finished answer. `logprobs` are those of the deciding head at temperature 1, one a token.

    commit_step: for each token the index of the step that committed it (the unmask order; all a training run
    needs
    to rebuild the trajectory). wall_s counts from the request to the last token, prefill_s its first part.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    commit_step: tuple[int, ...]
    prompt_tokens: int
    tokens: int
    forwards: int
    wall_s: float
    prefill_s: float
    finish_reason: FinishReason
    model: str
    decode: Decode
    prompt_ids: tuple[int, ...] = ()

    @property
    def tokens_per_forward(self) -> float:
        return self.tokens / self.forwards if self.forwards else 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One forward pass of a decoder.

    committed: tokens that are now final. revised: what was written in the place of visible draft tokens in
    this step: by the edit pass of free diffusion, or by the AR head as a lenient judge, and then final as
    well. draft: tokens shown but not yet final. masked: how many positions of the open canvas are still
    masked.
    text: text that became final in this step, safe to print in order ('' while the bytes of a character are
    incomplete or a stop string may be starting). head: which head decided (`ar`, `diffusion`, `length`).
    """

    index: int
    committed: tuple[Token, ...] = ()
    revised: tuple[Token, ...] = ()
    draft: tuple[Token, ...] = ()
    masked: int = 0
    text: str = ""
    head: str = "ar"
    confidence: float = 0.0
    ms: float = 0.0
    result: Generation | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What produced the tokens, for records: names and hashes, no paths."""

    name: str
    family: str
    context: int
    device: str
    precision: str
    base_sha256: str = ""
    tokenizer_sha256: str = ""
    heads_sha256: str = ""


class Model(Protocol):
    """A loaded model. Not thread-safe; `generate` may be abandoned at any step by closing the iterator.

    Raises model.errors.ContextOverflowError before the first forward when prompt and max_tokens do not fit,
    RequestError for a request the model cannot serve. Setting `cancel` ends the iteration at the next step
    with
    finish_reason `cancelled` and everything committed so far in the result.
    """

    @property
    def info(self) -> ModelInfo: ...

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]: ...


def complete(model: Model, request: GenerateRequest, cancel: threading.Event | None = None) -> Generation:
    """Run `generate` to its end and return the Generation."""
    result = None
    for step in model.generate(request, cancel):
        result = step.result or result
    if result is None:
        raise RuntimeError("the decoder ended without a result")
    return result
