"""The tokens of a request's prompt, and whether they fit: asked by every backend with our tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.errors import ContextOverflowError, RequestError
from model.request import GenerateRequest

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer


def check_one_prompt(request: GenerateRequest) -> None:
    """Raises RequestError unless the request has exactly one kind of prompt."""
    given = [bool(request.messages), request.prompt is not None, request.prompt_ids is not None]
    if sum(given) != 1:
        raise RequestError("give exactly one of messages, prompt and prompt_ids")


def prompt_ids(request: GenerateRequest, tokenizer: Tokenizer) -> list[int]:
    """Raises RequestError unless there is exactly one kind of prompt, of one token or more."""
    check_one_prompt(request)
    if request.messages:
        ids = tokenizer.render_chat(request.messages)
    elif request.prompt is not None:
        ids = tokenizer.encode(request.prompt)
    else:
        ids = list(request.prompt_ids or ())
    if not ids:
        raise RequestError("the prompt is empty: give at least one token")
    if not all(0 <= token < tokenizer.vocab_size for token in ids):
        raise RequestError(f"prompt_ids must be tokens, 0 to {tokenizer.vocab_size - 1}")
    return ids


def ar_prompt_ids(request: GenerateRequest, tokenizer: Tokenizer, context: int, peer: str) -> list[int]:
    """Prompt ids for a peer that only decodes `ar`. Raises RequestError, ContextOverflowError."""
    request.check()
    if request.decode not in ("ar", "auto"):
        raise RequestError(f"{peer} decodes `ar` only here, not {request.decode!r}")
    prompt = prompt_ids(request, tokenizer)
    check_context(request, len(prompt), context)
    return prompt


def check_context(request: GenerateRequest, prompt: int, context: int) -> None:
    """Raises ContextOverflowError when `prompt` tokens and the answer exceed the context."""
    if prompt + request.max_tokens > context:
        raise ContextOverflowError(
            f"{prompt} prompt tokens and max_tokens {request.max_tokens} exceed the context of {context}: "
            "shorten the prompt, lower max_tokens, or load with a longer context"
        )
