"""One answer in the making: what decoders share. Committed tokens, text, stop rules, clocks, the final
record.

A decoder asks `cancelled`, runs passes, gives `commit` the tokens that became final, in order, and yields
the Step that `step` builds; `session.done` says when to stop. Stop strings and end tokens are looked for
token by token, so it makes no difference how many a pass commits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from model.request import Decode, FinishReason, GenerateRequest, Generation, Step, Token
from model.stops import StopText
from model.tokenizer import Tokenizer


class Session:
    def __init__(
        self,
        request: GenerateRequest,
        prompt: Sequence[int],
        tokenizer: Tokenizer,
        *,
        model: str,
        decode: Decode,
        cancel: threading.Event | None,
    ) -> None:
        self.request, self.prompt, self.model, self.decode = request, tuple(prompt), model, decode
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.commit_step: list[int] = []
        self.forwards = 0
        self.prefill_s = 0.0
        self.finish: FinishReason | None = None
        self._tokenizer, self._cancel = tokenizer, cancel
        self._detokenizer = tokenizer.detokenizer()
        self._stops = StopText(request.stop)
        self._text: list[str] = []
        self._index = 0
        self._begin = self._last = time.perf_counter()

    @property
    def left(self) -> int:
        """Tokens that may still be committed."""
        return self.request.max_tokens - len(self.ids)

    @property
    def shown(self) -> str:
        """The text that is final so far."""
        return "".join(self._text)

    @property
    def done(self) -> bool:
        return self.finish is not None

    def cancelled(self) -> bool:
        """True once `cancel` is set: the answer ends as it is."""
        if self.finish is None and self._cancel is not None and self._cancel.is_set():
            self.finish = "cancelled"
        return self.finish == "cancelled"

    def prefilled(self) -> None:
        """The prompt is in the cache."""
        self.prefill_s = time.perf_counter() - self._begin

    def commit(
        self, ids: Sequence[int], logprobs: Sequence[float], confidence: Sequence[float]
    ) -> tuple[tuple[Token, ...], str]:
        """Make tokens final, up to the one that ends the answer. Returns them and the text now safe to
        show.
        """
        tokens: list[Token] = []
        text = ""
        for token, logprob, sure in zip(ids, logprobs, confidence, strict=True):
            piece = self._detokenizer.push(token)
            tokens.append(Token(len(self.ids), token, self._tokenizer.decode([token]), sure))
            self.ids.append(token)
            self.logprobs.append(logprob)
            self.commit_step.append(self._index)
            text += self._stops.push(piece)
            if self._stops.stopped or token in self._tokenizer.eos_ids:
                self.finish = "stop"
            elif len(self.ids) >= self.request.max_tokens:
                self.finish = "length"
            if self.finish:
                break
        self._text.append(text)
        return tuple(tokens), text

    def step(
        self,
        committed: tuple[Token, ...] = (),
        text: str = "",
        *,
        forwards: int = 1,
        revised: tuple[Token, ...] = (),
        draft: tuple[Token, ...] = (),
        masked: int = 0,
        head: str = "ar",
    ) -> Step:
        """The Step of the pass that just ran; the last one carries the Generation."""
        now = time.perf_counter()
        ms, self._last = (now - self._last) * 1e3, now
        self.forwards += forwards
        result = None
        if self.finish is not None:
            rest = self._close()
            text += rest
            result = self._generation(now)
        sure = sum(t.confidence for t in committed) / len(committed) if committed else 0.0
        step = Step(self._index, committed, revised, draft, masked, text, head, sure, ms, result)
        self._index += 1
        return step

    def token(self, position: int, token: int, confidence: float) -> Token:
        """A token that is shown but not final."""
        return Token(position, token, self._tokenizer.decode([token]), confidence)

    def drafted(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """What may follow the tokens that are committed."""
        return tuple(self.token(len(self.ids) + i, token, 0.0) for i, token in enumerate(ids))

    def _close(self) -> str:
        rest = ""
        if not self._stops.stopped:
            rest = self._stops.push(self._detokenizer.finish()) + self._stops.finish()
            self._text.append(rest)
        return rest

    def _generation(self, now: float) -> Generation:
        assert self.finish is not None
        return Generation(
            text="".join(self._text),
            token_ids=tuple(self.ids),
            logprobs=tuple(self.logprobs),
            commit_step=tuple(self.commit_step),
            prompt_tokens=len(self.prompt),
            tokens=len(self.ids),
            forwards=self.forwards,
            wall_s=now - self._begin,
            prefill_s=self.prefill_s,
            finish_reason=self.finish,
            model=self.model,
            decode=self.decode,
            prompt_ids=self.prompt,
        )
