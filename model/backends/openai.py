"""`openai:URL#model`: any OpenAI-compatible endpoint, streamed, behind the common interface.

    load("openai:http://localhost:8000/v1#qwen")      # without #model: the endpoint's only one

The key is read from OPENAI_API_KEY. Chats go to /chat/completions, raw prompts to /completions. A step is
one event of the stream. Token ids and logprobs are there when the endpoint sends them (vLLM: ids; most:
logprobs), else ids are -1. Only `ar` decoding; what the endpoint does inside is its own affair, so forwards
count one a token.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx

from model.backends.openai_stream import EndpointError, Events, short
from model.errors import RequestError
from model.prompt import check_one_prompt
from model.request import FinishReason, GenerateRequest, Generation, ModelInfo, Step, Token
from model.stops import StopText

_CONNECT_S = 10.0
# Between two events; a long prompt on a slow server keeps silent for minutes.
_READ_S = 600.0


class OpenAIModel:
    """A `model.request.Model` over HTTP. context 0: the endpoint does not say, so it is not checked here."""

    def __init__(self, url: str, model: str, *, context: int = 0, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(_READ_S, connect=_CONNECT_S)
        self._client = httpx.Client(base_url=url.rstrip("/") + "/", headers=headers, timeout=timeout)
        self._model = model
        self.info = ModelInfo(f"openai:{model}", "openai", context, "remote", "unknown")

    @classmethod
    def from_name(cls, name: str, *, context: int | None = None) -> OpenAIModel:
        """From `URL#model`. Asks the endpoint what it serves. Raises RequestError, EndpointError."""
        url, _, model = name.partition("#")
        if not url.startswith(("http://", "https://")):
            raise RequestError(f"{url!r} is no URL; write openai:http://HOST:PORT/v1#MODEL")
        key = os.environ.get("OPENAI_API_KEY")
        probe = cls(url, model, key=key)
        served = probe._served()
        if not model:
            if len(served) != 1:
                known = ", ".join(served) or "nothing it names"
                raise RequestError(f"{url} serves {known}; say which: openai:{url}#MODEL")
            model = next(iter(served))
        found = served.get(model, 0)
        return cls(url, model, context=min(context or found, found) if found else context or 0, key=key)

    def _served(self) -> dict[str, int]:
        """{model: its context, 0 when the endpoint does not say}; {} when it has no list."""
        try:
            answer = self._client.get("models")
        except httpx.HTTPError as error:
            raise EndpointError(f"cannot reach {self._client.base_url}: {short(error)}") from error
        if answer.status_code == 401:
            raise EndpointError(f"{self._client.base_url} wants a key; set OPENAI_API_KEY")
        if answer.status_code != 200:
            return {}
        try:
            return {str(model["id"]): int(model.get("max_model_len") or 0) for model in answer.json()["data"]}
        except (ValueError, KeyError, TypeError):
            return {}

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]:
        """Stream an answer. Raises RequestError, ContextOverflowError, EndpointError."""
        if request.decode not in ("ar", "auto"):
            raise RequestError(f"an endpoint decodes `ar` only, not {request.decode!r}")
        path, body = self._body(request)
        return self._steps(path, body, request, cancel or threading.Event())

    def _body(self, request: GenerateRequest) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.stop:
            body["stop"] = list(request.stop)
        body |= request.extra
        check_one_prompt(request)
        if not request.messages:
            body["logprobs"] = 1
            body["prompt"] = request.prompt if request.prompt is not None else list(request.prompt_ids or ())
            return "completions", body
        body["logprobs"] = True
        body["messages"] = [{"role": turn.role, "content": turn.content} for turn in request.messages]
        if request.messages[-1].role == "assistant":
            # vLLM, SGLang and llama.cpp continue the message; an endpoint that cannot refuses the field.
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return "chat/completions", body

    def _steps(
        self, path: str, body: dict[str, Any], request: GenerateRequest, cancel: threading.Event
    ) -> Iterator[Step]:
        started = time.perf_counter()
        events = Events(self._client, path, body)
        stops = StopText(request.stop)
        reason: FinishReason = "stop"
        text, first, last = "", 0.0, started
        tokens: list[Token] = []
        usage: dict[str, Any] = {}
        index = 0
        try:
            for event in events.read(cancel):
                usage = event.get("usage") or usage
                choice = (event.get("choices") or [{}])[0]
                piece = _text(choice)
                if choice.get("finish_reason") == "length":
                    reason = "length"
                if not piece:
                    continue
                now = time.perf_counter()
                first = first or now - started
                new = _tokens(choice, piece, len(tokens))
                tokens += new
                safe = stops.push(piece)
                text += safe
                confidence = min(token.confidence for token in new)
                yield Step(index, tuple(new), text=safe, confidence=confidence, ms=1000 * (now - last))
                last, index = now, index + 1
                if stops.stopped:
                    reason = "stop"
                    break
        finally:
            events.close()
        if cancel.is_set() and not stops.stopped:
            reason = "cancelled"
        rest = stops.finish()
        count = max(int(usage.get("completion_tokens") or 0), len(tokens))
        known = all(token.id >= 0 for token in tokens)
        result = Generation(
            text=text + rest,
            token_ids=tuple(token.id for token in tokens) if known else (),
            logprobs=tuple(math.log(max(token.confidence, 1e-30)) for token in tokens),
            commit_step=tuple(range(len(tokens))),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            tokens=count,
            forwards=count,
            wall_s=time.perf_counter() - started,
            prefill_s=first,
            finish_reason=reason,
            model=self.info.name,
            decode="ar",
            prompt_ids=request.prompt_ids or (),
        )
        yield Step(index, text=rest, result=result)


def _text(choice: dict[str, Any]) -> str:
    delta = choice.get("delta")
    found = delta.get("content") if isinstance(delta, dict) else choice.get("text")
    return found if isinstance(found, str) else ""


def _tokens(choice: dict[str, Any], piece: str, position: int) -> list[Token]:
    """The event's tokens, from its logprobs and ids where they are; else the whole piece as one of unknown
    id.
    """
    logprobs = choice.get("logprobs") or {}
    pairs: list[tuple[str, float]] = []
    if isinstance(logprobs.get("content"), list):
        pairs = [(str(item["token"]), float(item["logprob"])) for item in logprobs["content"]]
    elif isinstance(logprobs.get("tokens"), list):
        values = logprobs.get("token_logprobs") or []
        pairs = [
            (str(token), float(value or 0.0))
            for token, value in zip(logprobs["tokens"], values, strict=False)
        ]
    ids = choice.get("token_ids")
    if isinstance(ids, list) and len(ids) != len(pairs):
        pairs = [(piece, 0.0)] + [("", 0.0)] * (len(ids) - 1) if ids else pairs
    if not pairs:
        pairs = [(piece, 0.0)]
    if not isinstance(ids, list) or len(ids) != len(pairs):
        ids = [-1] * len(pairs)
    return [
        Token(position + i, int(token), text, math.exp(min(logprob, 0.0)))
        for i, (token, (text, logprob)) in enumerate(zip(ids, pairs, strict=True))
    ]
