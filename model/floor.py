"""The least time a pass can take: the bytes it must read over the memory bandwidth that was measured.

A pass of few tokens is bound by its weights. Of a mixture of experts only the experts that some token chose
are read, so their number is counted on the tokens at hand, not assumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from model.base import Base
from model.experts import Experts
from model.kvcache import KVCache, clean_tokens


def nbytes(module: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in module.parameters())


@contextmanager
def counting_experts(base: Base) -> Iterator[list[int]]:
    """Appends, for every sparse layer that runs, how many experts its tokens chose."""
    counts: list[int] = []

    def count(module: nn.Module, args: tuple[torch.Tensor, object]) -> None:
        assert isinstance(module, Experts)
        _, ids = module.choose(args[0].reshape(-1, args[0].shape[-1]))
        counts.append(len(torch.unique(ids)))

    hooks = [m.register_forward_pre_hook(count) for m in base.modules() if isinstance(m, Experts)]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True, slots=True)
class Width:
    """A pass of `tokens` behind `cached` tokens. experts: mean number read in a sparse layer, 0 if dense."""

    tokens: int
    cached: int
    bytes_read: int
    experts: float
    run: Callable[[], torch.Tensor]


def width(base: Base, tokens: int, cached: int, seed: int = 0) -> Width:
    """A pass over random tokens, with the logits of all of them, and what it must read."""
    ids = torch.randint(base.config.vocab, (1, tokens), generator=torch.Generator().manual_seed(seed))
    ids = ids.to(base.device)
    kind = torch.float32 if base.device.type == "cpu" else base.dtype
    cache = KVCache(base.config, 1, cached + tokens, kind, base.device)
    cache.length = [cached]
    where = clean_tokens(cached, tokens, base.device)
    attention = cache.attention(where)

    def run() -> torch.Tensor:
        return base.logits(base(base.embed(ids), where.position, attention))

    with torch.inference_mode(), counting_experts(base) as counts:
        run()
    sparse = [module for module in base.modules() if isinstance(module, Experts)]
    idle = sum(
        (nbytes(module) - module.router.numel() * module.router.element_size())
        * (1 - count / base.config.experts)
        for module, count in zip(sparse, counts, strict=True)
    )
    weights = sum(nbytes(layer) for layer in base.layers)
    head = base.head_weight()
    config = base.config
    kv = 2 * config.layers * config.kv_heads * config.head_dim * cached * cache.keys.element_size()
    read = int(weights - idle) + head.numel() * head.element_size() + kv
    return Width(tokens, cached, read, sum(counts) / len(counts) if counts else 0.0, run)


def times_ms(run: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Each of `repeats` runs after two of warm-up, by device events where there are some."""
    found = []
    for turn in range(repeats + 2):
        if device.type == "cuda":
            begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            begin.record()
            run()
            end.record()
            torch.cuda.synchronize(device)
            ms = float(begin.elapsed_time(end))
        else:
            at = time.perf_counter()
            run()
            ms = (time.perf_counter() - at) * 1e3
        if turn >= 2:
            found.append(ms)
    return found


def bandwidth(device: torch.device, size: int | None = None) -> float:
    """Bytes a second of a large copy, read and written: what memory gives in practice."""
    size = size or (2_000_000_000 if device.type == "cuda" else 256_000_000)
    source = torch.randint(255, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / min(times_ms(lambda: target.copy_(source), device, 5)) * 1e3
