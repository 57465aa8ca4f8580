"""The scripted model behaves like a real one: steps, stops, limits, cancel."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ContextOverflowError, RequestError, WeightsError
from model.load import load
from model.request import Decode, GenerateRequest, Generation, Message, Step, complete
from model.scripted import ScriptedModel, read_replies
from model.stops import StopText


@given(
    reply=st.text(max_size=80),
    decode=st.sampled_from(["ar", "verified", "diffusion", "auto"]),
    max_tokens=st.integers(1, 40),
    stop=st.lists(st.text(min_size=1, max_size=3), max_size=2),
    block=st.none() | st.integers(1, 20),
)
def test_steps_add_up_to_the_result(
    reply: str, decode: Decode, max_tokens: int, stop: list[str], block: int | None
) -> None:
    request = GenerateRequest(prompt="p", decode=decode, max_tokens=max_tokens, stop=tuple(stop), block=block)
    steps = list(ScriptedModel([reply]).generate(request))
    result = steps[-1].result
    assert result is not None
    assert "".join(step.text for step in steps) == result.text
    assert reply.startswith(result.text)
    assert not any(text in result.text for text in stop)
    assert (
        result.tokens
        == len(result.token_ids)
        == len(result.logprobs)
        == len(result.commit_step)
        <= max_tokens
    )
    committed = [token for step in steps for token in step.committed]
    assert len({token.position for token in committed}) == len(committed)
    for position, index in enumerate(result.commit_step):
        assert position in [token.position for token in steps[index].committed]
    if result.finish_reason == "length":
        assert result.tokens == max_tokens
    elif not stop:
        assert result.text == reply


def test_diffusion_commits_several_tokens_a_step() -> None:
    result = complete(ScriptedModel(["a b c d e f g h"]), GenerateRequest(prompt="p", decode="diffusion"))
    assert result.tokens_per_forward > 1


def test_same_seed_same_order() -> None:
    def order(seed: int) -> tuple[int, ...]:
        request = GenerateRequest(prompt="p", decode="diffusion", seed=seed)
        return complete(ScriptedModel(["a b c d e f g h i j"]), request).commit_step

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_cancel_keeps_what_is_there() -> None:
    cancel = threading.Event()
    steps: list[Step] = []
    for step in ScriptedModel(["one two three"]).generate(GenerateRequest(prompt="p"), cancel):
        steps.append(step)
        cancel.set()
    result = steps[-1].result
    assert isinstance(result, Generation)
    assert (result.finish_reason, result.text) == ("cancelled", "one")


def test_replies_come_in_order_and_end() -> None:
    model = ScriptedModel(["1", "2"])
    request = GenerateRequest(messages=(Message("user", "hi"),))
    assert [complete(model, request).text for _ in range(2)] == ["1", "2"]
    with pytest.raises(RequestError, match="no reply left"):
        complete(model, request)


def test_context_overflow_comes_before_the_first_step() -> None:
    model = ScriptedModel(["1"], context=10)
    with pytest.raises(ContextOverflowError):
        model.generate(GenerateRequest(prompt="a b c", max_tokens=9))
    assert complete(model, GenerateRequest(prompt="a b c", max_tokens=5)).text == "1"


def test_two_kinds_of_prompt_are_refused() -> None:
    with pytest.raises(RequestError, match="exactly one"):
        ScriptedModel(["1"]).generate(GenerateRequest(prompt="a", prompt_ids=(1,)))


def test_files(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(["a\n---\nb", "c"]))
    assert read_replies(tmp_path / "r.json") == ["a\n---\nb", "c"]
    (tmp_path / "r.md").write_text("first\nreply\n---\n\nsecond\n--- \nthird\n")
    assert read_replies(tmp_path / "r.md") == ["first\nreply", "second", "third"]
    assert complete(load(f"scripted:{tmp_path / 'r.md'}"), GenerateRequest(prompt="p")).text == "first\nreply"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', "[1]"])
def test_bad_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(WeightsError, match=r"r\.json"):
        read_replies(path)
    with pytest.raises(WeightsError, match="cannot read"):
        read_replies(tmp_path / "none.json")


@given(
    text=st.text("abc", max_size=30),
    stops=st.lists(st.text("abc", min_size=1, max_size=3), max_size=3),
    data=st.data(),
)
def test_stop_text_does_not_depend_on_the_pieces(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stopper = StopText(stops)
    shown = "".join(map(stopper.push, pieces)) + stopper.finish()
    found = [text.find(stop) for stop in stops if stop in text]
    assert stopper.stopped == bool(found)
    assert text.startswith(shown)
    if not found:
        assert shown == text
    else:
        _, cut = min((at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0)
        assert shown == text[:cut]
