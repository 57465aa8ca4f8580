"""The client of OpenAI-compatible endpoints against a real HTTP server that speaks the protocol."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from model.backends.openai import OpenAIModel
from model.backends.openai_stream import EndpointError
from model.errors import ContextOverflowError, RequestError
from model.load import load
from model.request import GenerateRequest, Message, complete
from model.scripted import ScriptedModel
from tests.model.openai_server import Handler, serving

REPLY = "def add(a, b):\n    return a + b  # übung \u2713\n"
CHAT = GenerateRequest(messages=(Message("user", "write add"),))


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_chat() -> None:
    with serving(ScriptedModel([REPLY])) as (url, bodies):
        model = load(f"openai:{url}#scripted")
        result = complete(model, CHAT)
    assert result.text == REPLY
    assert (result.finish_reason, result.model, result.decode) == ("stop", "openai:scripted", "ar")
    assert result.tokens == result.forwards == len(result.logprobs) == len(result.commit_step)
    assert result.prompt_tokens > 0
    assert model.info.context == 4096
    assert bodies[0]["messages"] == [{"role": "user", "content": "write add"}]
    assert "continue_final_message" not in bodies[0]


def test_steps_stream_the_text() -> None:
    with serving(ScriptedModel([REPLY])) as (url, _):
        steps = list(load(f"openai:{url}").generate(CHAT))
    assert len(steps) > 5
    assert "".join(step.text for step in steps) == REPLY
    positions = [token.position for step in steps for token in step.committed]
    assert positions == list(range(len(positions)))


def test_raw_prompt_gets_token_ids() -> None:
    with serving(ScriptedModel([REPLY, REPLY])) as (url, bodies):
        direct = complete(ScriptedModel([REPLY, REPLY]), GenerateRequest(prompt="p"))
        result = complete(load(f"openai:{url}"), GenerateRequest(prompt="p"))
    assert result.token_ids == direct.token_ids
    assert bodies[0]["prompt"] == "p"


def test_limit_stop_and_prefill() -> None:
    with serving(ScriptedModel([REPLY] * 3)) as (url, bodies):
        model = load(f"openai:{url}")
        assert complete(model, GenerateRequest(prompt="p", max_tokens=3)).finish_reason == "length"
        stopped = complete(model, GenerateRequest(prompt="p", stop=("return",)))
        complete(model, GenerateRequest(messages=(Message("user", "a"), Message("assistant", "b"))))
    assert (stopped.text, stopped.finish_reason) == ("def add(a, b):\n    ", "stop")
    assert bodies[2]["continue_final_message"] is True


def test_cancel_does_not_wait_for_a_silent_server() -> None:
    release = threading.Event()

    def silent(handler: Handler) -> bool:
        handler.stream()
        handler.event({"choices": [{"index": 0, "text": "one"}]})
        release.wait(30)
        return True

    cancel = threading.Event()
    with serving(None, silent) as (url, _):
        steps = load(f"openai:{url}").generate(GenerateRequest(prompt="p"), cancel)
        assert next(steps).text == "one"
        cancel.set()
        result = next(steps).result
        release.set()
    assert result is not None
    assert (result.finish_reason, result.text) == ("cancelled", "one")


def refuse(code: int, message: str) -> Callable[[Handler], bool]:
    def before(handler: Handler) -> bool:
        handler.reply(code, {"error": {"message": message}})
        return True

    return before


@pytest.mark.parametrize(
    ("code", "message", "error", "says"),
    [
        (400, "maximum context length is 4096", ContextOverflowError, "maximum context"),
        (400, "bad \x1b[31mfield", RequestError, r"\(400\): bad  \[31mfield"),
        (401, "no", EndpointError, "OPENAI_API_KEY"),
        (404, "no such model", RequestError, "no such model"),
    ],
)
def test_refusals(code: int, message: str, error: type[Exception], says: str) -> None:
    with serving(None, refuse(code, message)) as (url, _), pytest.raises(error, match=says):
        complete(load(f"openai:{url}"), CHAT)


def test_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter([True, False])

    def busy_once(handler: Handler) -> bool:
        if next(turns):
            handler.reply(503, {"error": "warming up"})
            return True
        return False

    with serving(ScriptedModel([REPLY]), busy_once) as (url, bodies):
        assert complete(load(f"openai:{url}"), CHAT).text == REPLY
    assert len(bodies) == 2


def test_stream_that_breaks() -> None:
    def broken(handler: Handler) -> bool:
        handler.stream()
        handler.wfile.write(b"data: {not json\n\n")
        return True

    with serving(None, broken) as (url, _), pytest.raises(EndpointError, match="no JSON"):
        complete(load(f"openai:{url}"), CHAT)


def test_error_inside_the_stream() -> None:
    def failing(handler: Handler) -> bool:
        handler.stream()
        handler.event({"error": {"message": "out of memory"}})
        return True

    with serving(None, failing) as (url, _), pytest.raises(EndpointError, match="out of memory"):
        complete(load(f"openai:{url}"), CHAT)


def test_no_server() -> None:
    with pytest.raises(EndpointError, match="cannot reach"):
        load("openai:http://127.0.0.1:9/v1#m")


def test_which_model() -> None:
    with serving(None, serves=("a", "b")) as (url, _):
        with pytest.raises(RequestError, match="serves a, b; say which"):
            load(f"openai:{url}")
        assert load(f"openai:{url}#b").info.name == "openai:b"
    with pytest.raises(RequestError, match="is no URL"):
        load("openai:localhost")


def test_decodes_ar_only() -> None:
    with pytest.raises(RequestError, match="`ar` only"):
        OpenAIModel("http://127.0.0.1:9/v1", "m").generate(GenerateRequest(prompt="p", decode="verified"))
