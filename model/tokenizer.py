"""The tokenizer of a model folder, over the `tokenizers` library (no transformers: it imports in
milliseconds).

Text is text: control tokens (`<|im_end|>`, `<|mask|>`, ...) come only from the chat template, never from
what a user wrote. Tokens that the model reads as ordinary words of its own (`<tool_call>`) are found in text
as in training.
"""

from __future__ import annotations

import codecs
import datetime
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import RequestError, WeightsError

if TYPE_CHECKING:
    from model.request import Message

MASK = "<|mask|>"
_CONTROL_SHAPE = re.compile(r"<\|.*\|>")
# Characters that Unicode reserves for internal use; one that no message holds marks text that must stay text.
_NONCHARACTERS = [chr(code) for code in range(0xFDD0, 0xFDF0)]


class Tokenizer:
    """encode, render_chat, decode; `mask_id`, `eos_ids`, `sha256`. Raises WeightsError when the folder's
    files are missing, damaged or not byte-level BPE.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        spec = self._read_json("tokenizer.json")
        config = self._read_json("config.json")
        generation = (
            self._read_json("generation_config.json") if (folder / "generation_config.json").exists() else {}
        )
        try:
            added = {token["content"]: token for token in spec.get("added_tokens", [])}
            if "ByteLevel" not in json.dumps(spec.get("decoder")):
                raise WeightsError(f"{folder}: only byte-level BPE tokenizers are supported")
            # Some published files call `<|fim_prefix|>` and its like ordinary; in user text they are text
            # all the same.
            ordinary = [
                token
                for token in added.values()
                if not token["special"] and _CONTROL_SHAPE.fullmatch(token["content"])
            ]
            for token in ordinary:
                token["special"] = True
            self._added = {token["id"]: token["content"] for token in added.values()}
            self._control = {
                token["content"]: int(token["id"]) for token in added.values() if token["special"]
            }
        except (KeyError, TypeError) as error:
            raise WeightsError(
                f"{folder}/tokenizer.json is damaged ({error}); pull the model again"
            ) from error
        self._library = self._build(spec if ordinary else None)
        self.vocab_size: int = 1 + max(
            [*self._added, self._library.get_vocab_size(with_added_tokens=False) - 1]
        )
        self.embedding_rows = int(config.get("vocab_size", self.vocab_size))
        eos = generation.get("eos_token_id", config.get("eos_token_id"))
        self.eos_ids: frozenset[int] = frozenset(
            [] if eos is None else [eos] if isinstance(eos, int) else eos
        )
        self._bytes: dict[int, bytes] = {}

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise WeightsError(f"{self.folder} has no {name}; it is not a model folder") from error
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path} cannot be read ({error}); pull the model again") from error
        if not isinstance(value, dict):
            raise WeightsError(f"{path} is damaged; pull the model again")
        return value

    def _build(self, changed: dict[str, Any] | None) -> Any:
        """The library's tokenizer, from the file or from its changed content."""
        import tokenizers

        try:
            if changed is None:
                library = tokenizers.Tokenizer.from_file(str(self.folder / "tokenizer.json"))
            else:
                library = tokenizers.Tokenizer.from_str(json.dumps(changed))
        except Exception as error:  # the library raises bare Exception
            raise WeightsError(
                f"{self.folder}/tokenizer.json is damaged ({error}); pull the model again"
            ) from error
        library.no_truncation()
        library.no_padding()
        library.encode_special_tokens = True
        return library

    @property
    def mask_id(self) -> int | None:
        """Id of MASK: its own entry, else the first embedding row without a token, else None."""
        if MASK in self._control:
            return self._control[MASK]
        return self.vocab_size if self.vocab_size < self.embedding_rows else None

    @cached_property
    def sha256(self) -> str:
        """Hash of vocabulary, merges and added tokens: the same for every file that holds the same
        tokenizer.
        """
        model = self._read_json("tokenizer.json")["model"]
        tokens = {int(index): token for token, index in model["vocab"].items()} | self._added
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
        content = json.dumps([sorted(tokens.items()), merges], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of text in which nothing is a control token."""
        ids: list[int] = self._library.encode(_valid(text), add_special_tokens=False).ids
        return ids

    def token_bytes(self, token: int) -> bytes:
        """The bytes a token stands for; a control token's are those of its name, an unused row's are none."""
        known = self._bytes.get(token)
        if known is None:
            if token in self._added:
                known = self._added[token].encode()
            else:
                word = self._library.id_to_token(token)
                known = b"" if word is None else bytes(_BYTE_OF[char] for char in word)
            self._bytes[token] = known
        return known

    def is_control(self, token: int) -> bool:
        """Whether the token is a control token or a row without a token (MASK among them)."""
        return token >= self.vocab_size or self._added.get(token) in self._control

    def decode(self, ids: Iterable[int], *, skip_control: bool = True) -> str:
        """Text of ids; bytes that are no UTF-8 become U+FFFD."""
        kept = (token for token in ids if not (skip_control and self.is_control(token)))
        return b"".join(map(self.token_bytes, kept)).decode("utf-8", "replace")

    def detokenizer(self) -> Detokenizer:
        return Detokenizer(self)

    def render_chat(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a conversation by the chat template, ready for the assistant's turn; a trailing assistant
        message is a prefill. Raises RequestError when the folder has no template or the template refuses the
        messages.
        """
        prefill = messages[-1].content if messages and messages[-1].role == "assistant" else ""
        turns = messages[:-1] if prefill or (messages and messages[-1].role == "assistant") else messages
        texts = [_valid(message.content) for message in messages]
        used = set().union(*texts) if texts else set()
        mark = next((char for char in _NONCHARACTERS if char not in used), None)
        if mark is None:
            raise RequestError("the messages use every Unicode noncharacter; remove one")
        names = "|".join(map(re.escape, sorted(self._control, key=len, reverse=True)))
        control = re.compile(f"({names})" if names else "(?!)")

        def guarded(text: str) -> str:
            return control.sub(lambda match: match[0][0] + mark + match[0][1:], _valid(text))

        text = self._render([{"role": turn.role, "content": guarded(turn.content)} for turn in turns])
        text += guarded(prefill)
        ids: list[int] = []
        for index, part in enumerate(control.split(text)):
            if index % 2:
                ids.append(self._control[part])
            elif part:
                ids += self.encode(part.replace(mark, ""))
        return ids

    def _render(self, messages: list[dict[str, str]]) -> str:
        import jinja2

        try:
            rendered: str = self._template.render(
                messages=messages, add_generation_prompt=True, tools=None, **self._named_tokens
            )
        except jinja2.TemplateError as error:
            raise RequestError(f"the chat template refuses these messages: {error}") from error
        return rendered

    @cached_property
    def _tokenizer_config(self) -> dict[str, Any]:
        exists = (self.folder / "tokenizer_config.json").exists()
        return self._read_json("tokenizer_config.json") if exists else {}

    @cached_property
    def _named_tokens(self) -> dict[str, str]:
        """bos_token, eos_token, ... as templates expect them."""
        named = {}
        for key in ("bos_token", "eos_token", "pad_token", "unk_token"):
            value = self._tokenizer_config.get(key)
            content = value.get("content") if isinstance(value, dict) else value
            if isinstance(content, str):
                named[key] = content
        return named

    @cached_property
    def _template(self) -> Any:
        import jinja2
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        path = self.folder / "chat_template.jinja"
        if path.exists():
            source = path.read_text(encoding="utf-8")
        else:
            found: Any = self._tokenizer_config.get("chat_template")
            if isinstance(found, list):  # several named templates
                found = next((item["template"] for item in found if item.get("name") == "default"), None)
            if not isinstance(found, str):
                raise RequestError(
                    f"{self.folder} has no chat template; give a raw prompt instead of messages"
                )

        def refuse(message: str) -> None:
            raise jinja2.TemplateError(message)

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = lambda value, **options: json.dumps(
            value, ensure_ascii=False, indent=options.get("indent")
        )
        environment.globals["raise_exception"] = refuse
        environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
        try:
            return environment.from_string(source)
        except jinja2.TemplateError as error:
            raise WeightsError(f"{self.folder}: the chat template is damaged ({error})") from error


class Detokenizer:
    """Text of tokens as they come: a character whose bytes are incomplete is held back. Control tokens give
    ''.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        if self._tokenizer.is_control(token):
            return ""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        """What is left: U+FFFD for a character that never became complete, else ''."""
        return self._decoder.decode(b"", final=True)


def _valid(text: str) -> str:
    """Lone surrogates (from bytes that were no UTF-8) cannot be encoded; they become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def byte_alphabet() -> dict[str, int]:
    """Byte-level BPE writes each byte as a printable character: itself where it has one, else from U+0100
    on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


_BYTE_OF = byte_alphabet()
