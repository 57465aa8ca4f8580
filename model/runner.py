"""Runs passes: a base, its heads, one cache. Decoders speak to this and to nothing below it.

runner = Runner(base, heads, head_of)
cache = runner.cache(capacity)
runner.prefill(cache, prompt[:-1])
h_TD = runner.run(cache, [runner.clean(ids, start), runner.block(ids, masked, start, block=1)])
logits_TV = runner.logits(h_TD[:1])
cache.keep(1)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from model.base import Base
from model.draftvocab import DraftVocab
from model.heads import HeadSet
from model.kvcache import KVCache, clean_tokens, draft_tokens, length_token, pack_tokens, sibling_tokens
from model.plan import WIDEST
from model.roles import Role, Segment, Tokens
from model.router import choose

if TYPE_CHECKING:
    from model.request import GenerateRequest
    from model.steps import WholeSteps

PREFILL = 256
"""Rows of a prefill pass: enough to use the machine, few enough to bound memory and to cancel soon."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive tokens of one role in a pass: their input embeddings [1, T, D] and what attention knows."""

    x: torch.Tensor
    tokens: Tokens
    role: Role


class Runner:
    siblings = True
    """Can a pass hold siblings of its line?"""

    def __init__(
        self,
        base: Base,
        heads: HeadSet | None = None,
        head_of: Mapping[Role, str] | None = None,
        prompt_base: Base | None = None,
    ) -> None:
        """prompt_base: the same weights in another precision, for passes of many tokens that only fill the
        cache (a CPU that is fast at bf16 matrix-vector and at fp32 matrix-matrix products).
        """
        self.base, self.heads = base, heads
        self.prompt_base = prompt_base or base
        self.head_of = dict(head_of if head_of is not None else choose(heads))
        self._draft_vocab: tuple[int, DraftVocab] | None = None

    def draft_vocab(self, limit: int) -> DraftVocab:
        """The output head for drafts, made when first asked for; ids from `limit` on are never drafted."""
        if self._draft_vocab is None or self._draft_vocab[0] != limit:
            self._draft_vocab = limit, DraftVocab(self.base, self.heads, limit)
        return self._draft_vocab[1]

    @property
    def hints(self) -> bool:
        """Were the heads trained to take guesses as hints?"""
        return self.heads is not None and bool(self.heads.hint.any())

    @property
    def device(self) -> torch.device:
        return self.base.device

    def cache(self, capacity: int, rows: int = 1) -> KVCache:
        """For `capacity` committed tokens a row, and room for one pass behind them."""
        dtype = torch.float32 if self.device.type == "cpu" else self.base.dtype
        return KVCache(self.base.config, rows, capacity + WIDEST, dtype, self.device)

    def clean(self, ids: Sequence[int], start: int) -> Part:
        """Committed tokens, or drafts that are being verified."""
        return Part(self._embed(ids), clean_tokens(start, len(ids), self.device), Role.CLEAN)

    def sibling(self, ids: Sequence[int], start: int, number: int) -> Part:
        """Drafts that are being verified beside the line, from position `start` on; number: 1, 2, .."""
        return Part(self._embed(ids), sibling_tokens(start, len(ids), number, self.device), Role.CLEAN)

    def block(
        self,
        ids: Sequence[int],
        masked: Sequence[bool],
        start: int,
        block: int,
        hinted: Sequence[bool] | None = None,
    ) -> Part:
        """A DRAFT block: ids where visible, MASK where masked. hinted: visible ids that are only a guess."""
        x = self._embed(ids)
        where = torch.tensor(masked, device=self.device)
        if self.heads is not None:
            mask = self.heads.mask.to(x.dtype)
            if hinted is not None and any(hinted):
                guess = torch.tensor(hinted, device=self.device)[None, :, None]
                x = torch.where(guess, x + self.heads.hint.to(x.dtype), x)
        else:
            mask = x.new_zeros(x.shape[-1])
        x = torch.where(where[None, :, None], mask, x)
        return Part(x, draft_tokens(start, len(ids), block, self.device), Role.DRAFT)

    def length_query(self, prompt: Sequence[int]) -> Part:
        last = len(prompt) - 1
        return Part(self._embed(prompt[last:]), length_token(last, self.device), Role.LENGTH)

    def _embed(self, ids: Sequence[int]) -> torch.Tensor:
        return self.base.embed(torch.tensor([ids], device=self.device))

    @torch.inference_mode()
    def run(self, cache: KVCache, parts: Sequence[Part]) -> torch.Tensor:
        """One pass over the parts, in order. Final states [T, D]. CLEAN parts come first and are
        contiguous, so that `cache.keep` can make them permanent.
        """
        tokens = pack_tokens([part.tokens for part in parts])
        x = torch.cat([part.x for part in parts], 1) if len(parts) > 1 else parts[0].x
        h: torch.Tensor = self.base(x, tokens.position, cache.attention(tokens), self._route(parts))[0]
        return h

    def _route(self, parts: Sequence[Part]) -> tuple[Segment, ...]:
        """Neighbouring parts of one role share a segment."""
        route: list[Segment] = []
        start = 0
        for part in parts:
            stop = start + part.x.shape[1]
            head = self.head_of.get(part.role)
            if head is not None and route and route[-1].head == head and route[-1].stop == start:
                route[-1] = replace(route[-1], stop=stop)
            elif head is not None:
                route.append(Segment(start, stop, head))
            start = stop
        return tuple(route)

    @torch.inference_mode()
    def ask_router(self, cache: KVCache, prompt: Sequence[int]) -> None:
        """Let the router (policy `auto`) choose among several heads of a role by the prompt's last state. The
        cache holds the prompt without its last token, before and after.
        """
        if self.heads is not None and self.heads.router is not None:
            last = self.clean(prompt[-1:], cache.length[0])
            self.head_of = choose(self.heads, self.run(cache, [last])[0])

    @torch.inference_mode()
    def ask_length(self, cache: KVCache, prompt: Sequence[int]) -> torch.Tensor:
        """Logits over length buckets [buckets]. The cache holds the prompt without its last token, before and
        after. The heads must have a length head.
        """
        assert self.heads is not None
        assert self.heads.length is not None
        last = self.clean(prompt[-1:], cache.length[0])
        state_1D = self.run(cache, [last, self.length_query(prompt)])[1:]
        logits: torch.Tensor = self.heads.length(state_1D)[0]
        return logits

    @torch.inference_mode()
    def prefill(self, cache: KVCache, ids: Sequence[int]) -> None:
        """Put the tokens behind what the cache holds; no logits."""
        head = self.head_of.get(Role.CLEAN)
        for at in range(0, len(ids), PREFILL):
            part = ids[at : at + PREFILL]
            tokens = clean_tokens(cache.length[0], len(part), self.device)
            base = self.prompt_base if len(part) > 1 else self.base
            x = base.embed(torch.tensor([part], device=self.device))
            route = () if head is None else (Segment(0, None, head),)
            base(x, tokens.position, cache.attention(tokens), route)
            cache.keep(len(part))

    def whole_step(self, cache: KVCache, token: int, request: GenerateRequest) -> tuple[int, float] | None:
        """One whole step of `ar` where this runner has it as one launch: the token after `token`, which is
        not in the cache yet, and its log probability; the caller keeps 1. None: use `run`.
        """
        return None

    def whole_steps(self, capacity: int, limit: int) -> WholeSteps | None:
        """Whole steps of `verified` where this runner has them as one launch each, for prompts and
        answers of up to `capacity` tokens together. None: use `run`. limit: ids from here on are never
        drafted.
        """
        return None

    @torch.inference_mode()
    def logits(self, h_TD: torch.Tensor) -> torch.Tensor:
        """[T, V] in the compute dtype."""
        return self.base.logits(h_TD[None])[0]
