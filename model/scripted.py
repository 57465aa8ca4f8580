"""`scripted:FILE`: a model that gives the replies of a file in order, for tests and demos of what uses a
model.

FILE is a JSON list of strings, or text in which a line `---` parts the replies. One reply a `generate` call;
when none is left that is an error. Steps are real `Step`s, token by token (`verified`, `lookup`: four a step;
`diffusion`: blocks that fill out of order, as a denoiser would), with stop strings, token limit, context
limit and cancel honoured.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.errors import RequestError, WeightsError
from model.prompt import check_context, check_one_prompt
from model.request import FinishReason, GenerateRequest, Generation, ModelInfo, Step, Token
from model.stops import StopText

_PIECES = re.compile(r"\s+|\w+|[^\w\s]")
_BLOCK = 16
_PARALLEL = 4
CONTEXT = 32_768


def read_replies(path: Path) -> list[str]:
    """The replies of a script file. Raises WeightsError when it cannot be read or holds none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise WeightsError(f"cannot read the script {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WeightsError(f"the script {path} is not UTF-8 text") from error
    if path.suffix == ".json":
        try:
            replies = json.loads(text)
        except ValueError as error:
            raise WeightsError(f"{path} is not valid JSON: {error}") from error
        if not (isinstance(replies, list) and all(isinstance(reply, str) for reply in replies)):
            raise WeightsError(f"{path} must be a JSON list of strings, one a reply")
    else:
        replies = [part.strip("\n") for part in re.split(r"^---[ \t]*$\n?", text, flags=re.MULTILINE)]
        if replies and not replies[-1]:
            replies.pop()
    if not replies:
        raise WeightsError(f"{path} holds no reply")
    return replies


@dataclass(frozen=True, slots=True)
class _Draft:
    """Which tokens a step commits and how the open block looks after it."""

    committed: tuple[int, ...]
    masked: int


class ScriptedModel:
    """A `model.request.Model` with given replies. Its tokens are words, runs of spaces and single signs."""

    def __init__(self, replies: Sequence[str], *, name: str = "scripted", context: int = CONTEXT) -> None:
        self._replies = list(replies)
        self._next = 0
        pieces = sorted({piece for reply in replies for piece in _PIECES.findall(reply)})
        self._ids = {piece: 256 + index for index, piece in enumerate(pieces)}
        digest = hashlib.sha256(json.dumps(self._replies).encode()).hexdigest()
        self.info = ModelInfo(name, "scripted", context, "none", "none", base_sha256=digest)

    @classmethod
    def from_file(cls, path: Path, *, context: int | None = None) -> ScriptedModel:
        return cls(read_replies(path), context=context or CONTEXT)

    def _encode(self, text: str) -> list[tuple[int, str]]:
        """(id, text) of each piece; a piece that no reply holds gets the id of its first byte."""
        pieces = _PIECES.findall(text)
        return [(self._ids.get(piece, piece.encode("utf-8", "replace")[0]), piece) for piece in pieces]

    def _prompt(self, request: GenerateRequest) -> tuple[int, ...]:
        check_one_prompt(request)
        if request.prompt_ids is not None:
            return request.prompt_ids
        text = request.prompt
        if text is None:
            text = "".join(f"{message.role}\n{message.content}\n" for message in request.messages)
        return tuple(token for token, _ in self._encode(text))

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]:
        """The next reply as steps. Raises RequestError when none is left, ContextOverflowError as an engine
        would.
        """
        prompt = self._prompt(request)
        check_context(request, len(prompt), self.info.context)
        if self._next >= len(self._replies):
            raise RequestError(f"the script has no reply left (it holds {len(self._replies)})")
        reply = self._replies[self._next]
        self._next += 1
        return self._steps(request, prompt, reply, cancel)

    def _steps(
        self, request: GenerateRequest, prompt: tuple[int, ...], reply: str, cancel: threading.Event | None
    ) -> Iterator[Step]:
        started = time.perf_counter()
        pieces = self._encode(reply)
        limit = min(len(pieces), request.max_tokens)
        reason: FinishReason = "stop" if limit == len(pieces) else "length"
        head: Literal["ar", "diffusion"] = "diffusion" if request.decode == "diffusion" else "ar"
        stops = StopText(request.stop)
        commit_step = [-1] * limit
        shown, text, index = 0, "", 0
        for draft in _schedule(request, limit):
            if cancel is not None and cancel.is_set():
                reason = "cancelled"
                break
            begun = time.perf_counter()
            for position in draft.committed:
                commit_step[position] = index
            safe = ""
            while shown < limit and commit_step[shown] >= 0 and not stops.stopped:
                safe += stops.push(pieces[shown][1])
                shown += 1
            text += safe
            tokens = tuple(Token(position, *pieces[position], 1.0) for position in draft.committed)
            ms = 1000 * (time.perf_counter() - begun)
            yield Step(index, tokens, masked=draft.masked, text=safe, head=head, confidence=1.0, ms=ms)
            index += 1
            if stops.stopped:
                reason = "stop"
                break
        rest = stops.finish()
        wall = time.perf_counter() - started
        result = Generation(
            text=text + rest,
            token_ids=tuple(token for token, _ in pieces[:shown]),
            logprobs=(0.0,) * shown,
            commit_step=tuple(commit_step[:shown]),
            prompt_tokens=len(prompt),
            tokens=shown,
            forwards=index,
            wall_s=wall,
            prefill_s=0.0,
            finish_reason=reason,
            model=self.info.name,
            decode="ar" if request.decode == "auto" else request.decode,
            prompt_ids=prompt,
        )
        yield Step(index, text=rest, head=head, result=result)


def _schedule(request: GenerateRequest, length: int) -> Iterator[_Draft]:
    """The positions that each step commits: in order, or within a block in an order drawn from the seed."""
    if request.decode != "diffusion":
        width = _PARALLEL if request.decode in ("verified", "lookup") else 1
        for first in range(0, length, width):
            yield _Draft(tuple(range(first, min(first + width, length))), 0)
        return
    size = request.block or _BLOCK
    order = random.Random(request.seed)
    for first in range(0, length, size):
        masked = list(range(first, min(first + size, length)))
        order.shuffle(masked)
        while masked:
            count = max(1, len(masked) // 3)
            chosen, masked = tuple(sorted(masked[:count])), masked[count:]
            yield _Draft(chosen, len(masked))
