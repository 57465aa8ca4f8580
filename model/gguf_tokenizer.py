"""The tokenizer that a GGUF file carries, as the files of a Hugging Face folder.

The vocabulary of the published files is padded to the embedding's rows with `[PAD151665]`...: those entries
are dropped, so the first unused row is free to be the MASK token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.errors import WeightsError
from model.gguf import GGUFFile

# Token types of the format.
_CONTROL, _USER_DEFINED, _UNUSED = 3, 4, 5
# How Qwen's byte-level BPE cuts text into words; part of the published tokenizers.
_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write_tokenizer(gguf: GGUFFile, folder: Path) -> None:
    """Write tokenizer.json, and chat_template.jinja where the file has one. Raises WeightsError."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    meta = gguf.metadata
    if meta.get("tokenizer.ggml.model") != "gpt2" or meta.get("tokenizer.ggml.pre") != "qwen2":
        raise WeightsError(f"{gguf.path}: its tokenizer is not Qwen's byte-level BPE")
    tokens, types = meta.get("tokenizer.ggml.tokens", []), meta.get("tokenizer.ggml.token_type", [])
    if len(tokens) != len(types):
        raise WeightsError(f"{gguf.path}: {len(tokens)} tokens but {len(types)} token types")
    added = [
        (index, AddedToken(token, special=kind == _CONTROL, normalized=False))
        for index, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    special = {index for index, _ in added}
    vocab = {
        token: index
        for index, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if index not in special and kind != _UNUSED
    }
    merges = [tuple(merge.split(" ")) for merge in meta.get("tokenizer.ggml.merges", [])]
    try:
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    except Exception as error:  # the library raises bare Exception
        raise WeightsError(f"{gguf.path}: its vocabulary and merges do not fit ({error})") from error
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_tokens([token for _, token in added])
    for index, token in added:
        if tokenizer.token_to_id(token.content) != index:
            raise WeightsError(
                f"{gguf.path}: the special token {token.content} does not follow the vocabulary"
            )
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    template = meta.get("tokenizer.chat_template")
    if template:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def tokenizer_config(gguf: GGUFFile, context: int) -> dict[str, Any]:
    """What tokenizer_config.json says; context: the longest input, in tokens."""
    meta = gguf.metadata
    tokens = meta["tokenizer.ggml.tokens"]
    pad, eos = meta.get("tokenizer.ggml.padding_token_id"), meta.get("tokenizer.ggml.eos_token_id")
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "bos_token": None,
        "eos_token": None if eos is None else tokens[eos],
        "pad_token": None if pad is None else tokens[pad],
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
