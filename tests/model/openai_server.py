"""A small OpenAI-compatible server over a `model.request.Model`, for tests of the client."""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from model.request import GenerateRequest, Message, Model, Step

Answer = Callable[["Handler"], bool]


class Handler(BaseHTTPRequestHandler):
    """Streams chat and raw completions. `before(handler)` may answer in another way and return True."""

    model: Model
    before: Answer
    bodies: list[dict[str, Any]]
    serves: list[dict[str, Any]]

    def do_GET(self) -> None:
        self.reply(200, {"object": "list", "data": self.serves})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.bodies.append(body)
        if type(self).before(self):
            return
        chat = self.path.endswith("/chat/completions")
        request = GenerateRequest(
            messages=tuple(Message(m["role"], m["content"]) for m in body["messages"]) if chat else (),
            prompt=None if chat else body["prompt"],
            max_tokens=body["max_tokens"],
            stop=tuple(body.get("stop", ())),
        )
        self.stream()
        result = None
        for step in self.model.generate(request):
            result = step.result or result
            if step.text:
                self.event({"choices": [_choice(step, chat)]})
        assert result is not None
        self.event(
            {"choices": [{"index": 0, "delta": {}, "text": "", "finish_reason": result.finish_reason}]}
        )
        usage = {"prompt_tokens": result.prompt_tokens, "completion_tokens": result.tokens}
        self.event({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def reply(self, code: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def event(self, body: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(body)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _choice(step: Step, chat: bool) -> dict[str, Any]:
    scored = [(token.text, math.log(token.confidence)) for token in step.committed]
    choice: dict[str, Any] = {"index": 0, "finish_reason": None}
    if chat:
        content = [{"token": text, "logprob": logprob} for text, logprob in scored]
        return choice | {"delta": {"content": step.text}, "logprobs": {"content": content}}
    ids = [token.id for token in step.committed]
    logprobs = {"tokens": [text for text, _ in scored], "token_logprobs": [logprob for _, logprob in scored]}
    return choice | {"text": step.text, "logprobs": logprobs, "token_ids": ids}


@contextlib.contextmanager
def serving(
    model: Model | None, before: Answer = lambda handler: False, serves: tuple[str, ...] = ("scripted",)
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(base URL, the bodies it was sent) of a running server."""
    bodies: list[dict[str, Any]] = []
    fields = {
        "model": model,
        "before": staticmethod(before),
        "bodies": bodies,
        "serves": [{"id": name, "max_model_len": 4096} for name in serves],
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Handler,), fields))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", bodies
    finally:
        server.shutdown()
        server.server_close()
