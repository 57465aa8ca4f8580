"""Text is text, control tokens come from the template alone, and pieces add up to the whole."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import store
from model.errors import RequestError, WeightsError
from model.request import Message
from model.tiny import CONTROL, tiny_folder
from model.tokenizer import Tokenizer

texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
spiked = st.lists(st.sampled_from([*CONTROL, "<|mask|>", "<|im_", "end|>", " ", "é", "\U0001f600", "x"])).map(
    "".join
)


def id_of(tokenizer: Tokenizer, name: str) -> int:
    """The control token of this name."""
    ids = [i for i in range(tokenizer.vocab_size) if tokenizer.token_bytes(i) == name.encode()]
    (found,) = filter(tokenizer.is_control, ids)
    return found


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer(tiny_folder(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def real() -> Tokenizer:
    return Tokenizer(store.resolve("qwen2.5-coder-0.5b"))


@given(text=texts | spiked)
def test_text_comes_back_and_holds_no_control_token(tiny: Tokenizer, text: str) -> None:
    ids = tiny.encode(text)
    assert tiny.decode(ids) == text
    assert not any(tiny.is_control(token) for token in ids)


@given(ids=st.lists(st.integers(0, 300), max_size=40))
def test_pieces_add_up_to_the_whole(tiny: Tokenizer, ids: list[int]) -> None:
    pieces = tiny.detokenizer()
    assert "".join(map(pieces.push, ids)) + pieces.finish() == tiny.decode(ids)


@given(ids=st.lists(st.integers(0, 258), max_size=40))
def test_decode_equals_the_library(tiny: Tokenizer, ids: list[int]) -> None:
    assert tiny.decode(ids) == tiny._library.decode(ids, skip_special_tokens=True)


@given(contents=st.lists(texts | spiked, min_size=1, max_size=4))
def test_control_tokens_of_a_chat_are_those_of_its_turns(tiny: Tokenizer, contents: list[str]) -> None:
    messages = [Message("user", content) for content in contents]
    ids = tiny.render_chat(messages)
    assert ids.count(id_of(tiny, "<|im_start|>")) == len(contents) + 1
    assert ids.count(id_of(tiny, "<|im_end|>")) == len(contents)
    assert tiny.mask_id not in ids
    expected = "".join(f"user\n{content}\n" for content in contents) + "assistant\n"
    assert tiny.decode(ids) == expected


@given(content=texts | spiked, prefill=texts | spiked)
def test_prefill_continues_the_assistants_turn(tiny: Tokenizer, content: str, prefill: str) -> None:
    opened = tiny.render_chat([Message("user", content)])
    ids = tiny.render_chat([Message("user", content), Message("assistant", prefill)])
    assert ids == opened + tiny.encode(prefill)


def test_mask_is_the_first_free_row(tiny: Tokenizer, tmp_path: Path) -> None:
    assert tiny.mask_id == 259
    assert tiny.is_control(259)
    assert Tokenizer(tiny_folder(tmp_path, rows=259)).mask_id is None


def test_fim_tokens_are_control_even_where_the_file_says_otherwise(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path)
    spec = json.loads((folder / "tokenizer.json").read_text())
    token = spec["added_tokens"][0] | {"id": 259, "content": "<|fim_prefix|>", "special": False}
    spec["added_tokens"].append(token)
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    tokenizer = Tokenizer(folder)
    assert 259 not in tokenizer.encode("a<|fim_prefix|>b")
    assert id_of(tokenizer, "<|fim_prefix|>") == 259
    assert tokenizer.mask_id == 260


def test_template_cannot_reach_python(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path)
    (folder / "chat_template.jinja").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(RequestError, match="refuses"):
        Tokenizer(folder).render_chat([Message("user", "hi")])


def test_no_template_says_so(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(RequestError, match="no chat template"):
        Tokenizer(folder).render_chat([Message("user", "hi")])


@pytest.mark.parametrize("damage", ["{", '{"model": 3}', "[]"])
def test_damaged_tokenizer(tmp_path: Path, damage: str) -> None:
    folder = tiny_folder(tmp_path)
    (folder / "tokenizer.json").write_text(damage)
    with pytest.raises(WeightsError):
        Tokenizer(folder)


def test_lone_surrogates_become_replacement_characters(tiny: Tokenizer) -> None:
    assert tiny.decode(tiny.encode("a\ud800b")) == "a\ufffdb"


def test_same_tokenizer_same_hash(tiny: Tokenizer, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path, seed=5)
    spec = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(spec, indent=4, sort_keys=True))
    assert Tokenizer(folder).sha256 == tiny.sha256
    spec["added_tokens"][0]["content"] = "<|other|>"
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    assert Tokenizer(folder).sha256 != tiny.sha256


@pytest.mark.real
def test_real_ids(real: Tokenizer) -> None:
    assert (real.vocab_size, real.mask_id, real.embedding_rows) == (151_665, 151_665, 151_936)
    assert real.eos_ids == {151_643, 151_645}
    assert id_of(real, "<|fim_middle|>") == 151_660
    assert 151_645 not in real.encode("<|im_end|>")


@pytest.mark.real
@settings(max_examples=50)
@given(text=texts | spiked)
def test_real_round_trip(real: Tokenizer, text: str) -> None:
    ids = real.encode(text)
    assert real.decode(ids) == unicodedata.normalize("NFC", text)
    pieces = real.detokenizer()
    assert "".join(map(pieces.push, ids)) + pieces.finish() == real.decode(ids)


@pytest.mark.real
def test_real_chat_equals_transformers(real: Tokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(real.folder)

    @settings(max_examples=40)
    @given(
        contents=st.lists(
            st.text(alphabet=st.characters(codec="ascii"), min_size=1, max_size=40), min_size=1, max_size=4
        ),
        system=st.booleans(),
    )
    def check(contents: list[str], system: bool) -> None:
        roles = ["user", "assistant"] * 2
        messages = [Message(role, text) for role, text in zip(roles, contents, strict=False)]  # type: ignore[arg-type]  # plain str
        if messages[-1].role == "assistant":
            messages.append(Message("user", "go on"))
        if system:
            messages.insert(0, Message("system", "Be brief."))
        turns = [{"role": message.role, "content": message.content} for message in messages]
        due = theirs.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        assert real.render_chat(messages) == due

    check()
