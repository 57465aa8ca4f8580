"""`Events`: one streamed answer of an OpenAI-compatible endpoint, and the errors of such an endpoint.

A thread reads, so that a silent server does not delay a cancel. Only a refused or unanswered call is tried
again: of an answer that broke off, tokens have been shown.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

import httpx

from model.errors import ContextOverflowError, ModelError, RequestError

_TRIES = 3
_POLL_S = 0.05


class EndpointError(ModelError):
    """The endpoint cannot be reached, refuses, or does not speak the protocol."""


class Events:
    """The events of one streamed answer to a POST of `body`."""

    def __init__(self, client: httpx.Client, path: str, body: dict[str, Any]) -> None:
        self._client, self._path, self._body = client, path, body
        self._queue: queue.Queue[dict[str, Any] | ModelError | None] = queue.Queue()
        self._closed = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="openai-stream").start()

    def read(self, cancel: threading.Event) -> Iterator[dict[str, Any]]:
        """Events until the stream ends or `cancel` is set. Raises what the reader met."""
        while not cancel.is_set():
            try:
                item = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, ModelError):
                raise item
            yield item

    def close(self) -> None:
        """The reader hangs up at its next line; the server then stops working on the answer."""
        self._closed.set()

    def _run(self) -> None:
        try:
            self._stream()
        except ModelError as error:
            self._queue.put(error)
        except httpx.HTTPError as error:
            self._queue.put(EndpointError(f"{self._client.base_url} broke off: {short(error)}"))
        self._queue.put(None)

    def _stream(self) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                with self._client.stream("POST", self._path, json=self._body) as answer:
                    if answer.status_code == 200:
                        self._lines(answer)
                        return
                    error = _refusal(answer)
                    if answer.status_code not in (429, 500, 502, 503) or attempt == _TRIES:
                        raise error
            except httpx.ConnectError as failed:
                if attempt == _TRIES:
                    raise EndpointError(f"cannot reach {self._client.base_url}: {short(failed)}") from failed
            if self._closed.wait(0.5 * 2**attempt):
                return

    def _lines(self, answer: httpx.Response) -> None:
        for line in answer.iter_lines():
            if self._closed.is_set():
                return
            if not line.startswith("data:"):
                continue
            data = line[5:].strip()
            if data == "[DONE]":
                return
            try:
                event = json.loads(data)
            except ValueError as error:
                raise EndpointError(f"{self._client.base_url} sent an event that is no JSON") from error
            if not isinstance(event, dict):
                raise EndpointError(f"{self._client.base_url} sent an event that is no object")
            if "error" in event:
                raise EndpointError(f"{self._client.base_url} failed: {_clean(str(event['error']))}")
            self._queue.put(event)


def _refusal(answer: httpx.Response) -> ModelError:
    """The error of an answer that is no stream, from what the server says."""
    answer.read()
    try:
        body = answer.json()
        error = body.get("error", body)
        message = str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError):
        message = answer.text
    message = _clean(message)
    code = answer.status_code
    if code == 401:
        return EndpointError("the endpoint wants a key; set OPENAI_API_KEY")
    if code == 400 and "context" in message.lower():
        return ContextOverflowError(f"the endpoint says: {message}")
    if 400 <= code < 500 and code != 429:
        return RequestError(f"the endpoint refuses the request ({code}): {message}")
    return EndpointError(f"the endpoint failed ({code}): {message}")


def short(error: Exception) -> str:
    """One printable line of an error."""
    return _clean(str(error) or type(error).__name__)


def _clean(text: str) -> str:
    """One printable line of what a server said."""
    return "".join(char if char.isprintable() else " " for char in text)[:300]
