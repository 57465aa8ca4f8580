"""The KV cache that all heads share, and attention over it.

A row holds the keys and values of its committed (CLEAN) tokens in slots 0..length-1, slot = position. A pass
writes its tokens' keys and values behind them, attends, and then `keep(n)` makes the first n of the pass
permanent; what was not kept (drafts, rejected tokens) is overwritten by the next pass. So truncating is
setting a length, and a pass may hold CLEAN tokens, draft blocks and a length query at once.

Exactness on a CPU: attention runs in float32 whatever the weights are, keys are padded to whole blocks of 512
and query rows to multiples of 8, so that a query's output has the same bits whatever else is in the pass and
however long the cache is (tests/model/test_exact.py). In bfloat16 torch's kernel is exact only almost always.
Sums run in the order of the slots, so a sibling, whose tokens lie behind the line's, attends to a copy in
which its keys have the slots of their positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from model.base import Attend
from model.baseconfig import BaseConfig
from model.errors import ContextOverflowError
from model.roles import Role, Tokens, visible

_ROWS = 8
_BLOCK = 512


class KVCache:
    """keys, values: one [B, G, slots, K] a layer. length: committed tokens of each row."""

    def __init__(
        self,
        config: BaseConfig,
        rows: int,
        capacity: int,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> None:
        self.block = _BLOCK
        self.config, self.capacity = config, capacity
        slots = -(-capacity // self.block) * self.block
        shape = (config.layers, rows, config.kv_heads, slots, config.head_dim)
        # Zeros, not empty: padding takes part in matmuls with weight 0, and 0 * NaN is NaN.
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.length = [0] * rows

    @property
    def rows(self) -> int:
        return len(self.length)

    @property
    def dtype(self) -> torch.dtype:
        return self.keys.dtype

    def truncate(self, length: int, row: int = 0) -> None:
        """Forget everything from position `length` on."""
        self.length[row] = min(self.length[row], length)

    def keep(self, count: int, row: int = 0) -> None:
        """Make the first `count` tokens of the last pass permanent."""
        self.length[row] += count

    def splice(self, source: int, target: int, count: int, row: int = 0) -> None:
        """`count` tokens of the last pass, its `source`-th and on, take the places of those from `target` on:
        an accepted sibling behind the part of the line that was right.
        """
        begin = self.length[row]
        for kept in (self.keys, self.values):
            moved = kept[:, row, :, begin + source : begin + source + count].clone()
            kept[:, row, :, begin + target : begin + target + count] = moved

    def fork(self, rows: int, row: int = 0) -> KVCache:
        """A cache of `rows` copies of one row, for several answers to one prompt."""
        keys = self.keys[:, row : row + 1].repeat(1, rows, 1, 1, 1)
        values = self.values[:, row : row + 1].repeat(1, rows, 1, 1, 1)
        return self._twin(keys, values, [self.length[row]] * rows)

    def part(self, start: int, stop: int) -> KVCache:
        """Rows start..stop on the same memory, with lengths of its own."""
        return self._twin(self.keys[:, start:stop], self.values[:, start:stop], self.length[start:stop])

    def copy(self, source: int, target: int, length: int) -> None:
        """Row `target` becomes the first `length` tokens of row `source`."""
        for kept in (self.keys, self.values):
            kept[:, target, :, :length] = kept[:, source, :, :length]
        self.length[target] = length

    def _twin(self, keys: torch.Tensor, values: torch.Tensor, length: list[int]) -> KVCache:
        twin = object.__new__(KVCache)
        twin.config, twin.capacity, twin.block = self.config, self.capacity, self.block
        twin.keys, twin.values, twin.length = keys, values, length
        return twin

    def attention(self, tokens: Tokens) -> CachedAttention:
        """Attention for one pass of [B, T] tokens. Raises ContextOverflowError when they do not fit."""
        T = tokens.position.shape[1]
        if max(self.length) + T > self.keys.shape[3]:
            raise ContextOverflowError(
                f"{max(self.length)} tokens and a pass of {T} exceed the cache of {self.capacity}"
            )
        return CachedAttention(self, tokens)


class CachedAttention:
    """The attention of one pass (model.base.Attention)."""

    def __init__(self, cache: KVCache, tokens: Tokens) -> None:
        B, T = tokens.position.shape
        self._cache, self._starts = cache, list(cache.length)
        starts = torch.tensor(self._starts, device=tokens.position.device)[:, None]
        self._slots_BT = starts + torch.arange(T, device=starts.device)
        self._rows_B1 = torch.arange(B, device=starts.device)[:, None]
        block = cache.block
        self._span = min(-(-(max(cache.length) + T) // block) * block, cache.keys.shape[3])
        repeat = cache.config.heads // cache.config.kv_heads
        self._pad = -(repeat * T) % _ROWS
        mask_BTS = visible(tokens, self._keys(tokens))
        mask = mask_BTS.repeat(1, repeat, 1)
        if self._pad:
            mask = torch.cat((mask, mask.new_ones(B, self._pad, self._span)), 1)
        # Additive: a boolean mask would be converted again in every layer. In the queries' type: bfloat16 on
        # CUDA gave wrong states with a float32 mask, and no error.
        self._mask = _bias(mask, cache.dtype)[:, None]
        self._siblings = (
            [SiblingAttention(cache, *found, repeat) for found in _siblings(tokens)] if B == 1 else []
        )

    def _keys(self, tokens: Tokens) -> Tokens:
        """What the slots hold: committed tokens, then this pass, then nothing."""
        B, _ = tokens.position.shape
        slot = torch.arange(self._span, device=tokens.position.device).expand(B, -1)
        lengths = torch.tensor(self._starts, device=slot.device)[:, None]
        none = torch.full_like(slot, -1)
        clean = torch.where(slot < lengths, int(Role.CLEAN), none)
        keys = Tokens(clean, slot.clone(), torch.zeros_like(slot), torch.zeros_like(slot))
        for name in ("role", "position", "block", "begin"):
            getattr(keys, name).scatter_(1, self._slots_BT, getattr(tokens, name).long())
        return keys

    def layer(self, index: int) -> Attend:
        keys, values = self._cache.keys[index], self._cache.values[index]

        def attend(q_BHTK: torch.Tensor, k_BGTK: torch.Tensor, v_BGTK: torch.Tensor) -> torch.Tensor:
            B, H, T, K = q_BHTK.shape
            G = k_BGTK.shape[1]
            if B == 1:
                keys[0, :, self._starts[0] : self._starts[0] + T] = k_BGTK[0]
                values[0, :, self._starts[0] : self._starts[0] + T] = v_BGTK[0]
            else:
                keys[self._rows_B1, :, self._slots_BT] = k_BGTK.transpose(1, 2).to(keys.dtype)
                values[self._rows_B1, :, self._slots_BT] = v_BGTK.transpose(1, 2).to(keys.dtype)
            # The queries that share a key head are its rows: keys are read once, not once a query head.
            q = q_BHTK.to(keys.dtype).reshape(B, G, (H // G) * T, K)
            if self._pad:
                q = F.pad(q, (0, 0, 0, self._pad))
            k, v = keys[:, :, : self._span], values[:, :, : self._span]
            o = F.scaled_dot_product_attention(q, k, v, attn_mask=self._mask)
            o_BHTK = o[:, :, : (H // G) * T].reshape(B, H, T, K).to(q_BHTK.dtype)
            for sibling in self._siblings:
                sibling.attend(q_BHTK, keys, values, self._starts[0], o_BHTK)
            return o_BHTK

        return attend


class SiblingAttention:
    """Attention of one sibling: columns first..stop of a pass of one row, from position `begin` on."""

    def __init__(self, cache: KVCache, first: int, stop: int, begin: int, repeat: int) -> None:
        self._columns, self._begin, self._repeat = slice(first, stop), begin, repeat
        T = stop - first
        self._pad = -(repeat * T) % _ROWS
        self._span = -(-(begin + T) // cache.block) * cache.block
        device = cache.keys.device
        reach = begin + torch.arange(T, device=device).repeat(repeat)[:, None]
        mask = torch.arange(self._span, device=device) <= reach
        if self._pad:
            mask = torch.cat((mask, mask.new_ones(self._pad, self._span)))
        self._mask = _bias(mask, cache.dtype)

    def attend(
        self,
        q_BHTK: torch.Tensor,
        keys_BGSK: torch.Tensor,
        values_BGSK: torch.Tensor,
        start: int,
        out_BHTK: torch.Tensor,
    ) -> None:
        """Write the sibling's columns of `out`; the pass's keys and values lie in slots start.. of all."""
        q = q_BHTK[:, :, self._columns].to(keys_BGSK.dtype)
        B, H, T, K = q.shape
        q = q.reshape(B, H // self._repeat, self._repeat * T, K)
        if self._pad:
            q = F.pad(q, (0, 0, 0, self._pad))
        own = slice(start + self._columns.start, start + self._columns.stop)
        rest = self._span - self._begin - T
        k, v = (
            F.pad(torch.cat((kept[:, :, : self._begin], kept[:, :, own]), 2), (0, 0, 0, rest))
            for kept in (keys_BGSK, values_BGSK)
        )
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=self._mask)
        out_BHTK[:, :, self._columns] = o[:, :, : self._repeat * T].reshape(B, H, T, K).to(out_BHTK.dtype)


def _siblings(tokens: Tokens) -> list[tuple[int, int, int]]:
    """(first column, column behind the last, position of the first) of each sibling in a pass of one row."""
    number = torch.where(tokens.role[0] == Role.CLEAN, tokens.block[0], 0)
    found = []
    for n in range(1, int(number.max()) + 1):
        columns = (number == n).nonzero()
        first, stop = int(columns[0]), int(columns[-1]) + 1
        found.append((first, stop, int(tokens.begin[0, first])))
    return found


def _bias(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where the mask is True, else -inf."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, float("-inf"))


def draft_tokens(start: int, width: int, block: int, device: torch.device | str = "cpu") -> Tokens:
    """A DRAFT block of `width` tokens at positions start.. (one row); `block` is its id, at least 1."""
    position = torch.arange(start, start + width, device=device)[None]
    return Tokens(
        torch.full_like(position, int(Role.DRAFT)),
        position,
        torch.full_like(position, block),
        torch.full_like(position, start),
    )


def clean_tokens(start: int, width: int, device: torch.device | str = "cpu") -> Tokens:
    """CLEAN tokens at positions start.. (one row)."""
    return Tokens.clean(torch.arange(start, start + width, device=device)[None])


def sibling_tokens(start: int, width: int, number: int, device: torch.device | str = "cpu") -> Tokens:
    """CLEAN tokens at positions start.. beside those of the line (one row); `number` is their sibling's, at
    least 1.
    """
    line = clean_tokens(start, width, device)
    return Tokens(
        line.role, line.position, torch.full_like(line.role, number), torch.full_like(line.role, start)
    )


def length_token(position: int, device: torch.device | str = "cpu") -> Tokens:
    """The LENGTH query after a prompt whose last token is at `position`."""
    at = torch.tensor([[position]], device=device)
    return Tokens(torch.full_like(at, int(Role.LENGTH)), at, torch.zeros_like(at), torch.zeros_like(at))


def pack_tokens(parts: Sequence[Tokens]) -> Tokens:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.cat(part)
    return whole
