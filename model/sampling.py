"""From logits to a token. Greedy, or with temperature and top-p, seeded by (seed, position).

The noise of a position is a pure function of (seed, position, token id): a token is the arg max of
log p + Gumbel noise, which is a sample of p (Gumbel 1954). So a sampled answer depends neither on the
batch, nor on the mode, nor on how many tokens a pass commits: `verified` accepts a draft exactly when it is
the token that `ar` would have sampled with this seed. That is a coupling of draft and target by common
noise (Daliri et al. 2024, arXiv 2408.07978): it keeps the distribution of `ar` as rejection sampling does,
and the very tokens as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from model.errors import NumericsError
from model.request import GenerateRequest

NOT_FINITE = "the logits are NaN or infinite: the weights or heads are damaged, pull them again"

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64
_MIX1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX2 = -7723592293110705685  # 0x94D049BB133111EB


@dataclass(frozen=True, slots=True)
class Kind:
    """How a request's tokens are chosen. warm: it samples; cut: from the top-p set only."""

    warm: bool = False
    cut: bool = False

    @classmethod
    def of(cls, request: GenerateRequest) -> Kind:
        warm = request.temperature > 0
        return cls(warm, warm and request.top_p < 1)


GREEDY = Kind()


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: torch.Tensor) -> torch.Tensor:
    """The splitmix64 finaliser (Steele, Lea, Flood 2014): 64 well-mixed bits of 64 bits."""
    x = (x ^ _shift(x, 30)) * _MIX1
    x = (x ^ _shift(x, 27)) * _MIX2
    return x ^ _shift(x, 31)


def gumbel(seed: int | torch.Tensor, positions_N: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Gumbel noise [N, V'] in float32 for absolute positions [N] and token ids [V'] or [N, V'], on any
    device. seed: one, or one a row (int64 [N]).
    """
    key = seed if isinstance(seed, torch.Tensor) else _scalar(seed, positions_N, torch.int64)
    if positions_N.is_cuda:
        from model.kernels.noise import gumbel as kernel

        return kernel(key, positions_N, ids)
    return -torch.log(-torch.log(uniform(key, positions_N, ids)))


def uniform(seed: torch.Tensor, positions_N: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The hash of (seed, position, token id) as a number in (0, 1), in plain torch."""
    key_N1 = _mix(_mix(seed * _GOLDEN + 1) + positions_N * _GOLDEN)[:, None]
    bits = _shift(_mix(key_N1 + (ids + 1) * _GOLDEN), 41)
    return (bits.to(torch.float32) + 0.5) * 2.0**-23


def check(logits: torch.Tensor) -> None:
    """Raises NumericsError for NaN, or when nothing is finite."""
    top = logits.amax(-1)
    if not bool(torch.isfinite(top).all()):
        raise NumericsError(NOT_FINITE)


def _scalar(value: float, like: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A tensor rather than a number: CUDA divides by a number by multiplying with its reciprocal, and one
    request must round as it does in a batch.
    """
    return torch.full((), value, dtype=dtype, device=like.device)


def keep_top_p(logits_NV: torch.Tensor, top_p: float | torch.Tensor) -> torch.Tensor:
    """-inf outside the smallest set of tokens whose probability reaches top_p; the first is always kept.

    top_p: one, or one a row ([N, 1]); 1 keeps everything.
    """
    if not isinstance(top_p, torch.Tensor):
        if top_p >= 1.0:
            return logits_NV
        top_p = _scalar(top_p, logits_NV, torch.float32)
    ordered, index = torch.sort(logits_NV, dim=-1, descending=True, stable=True)
    share = ordered.softmax(-1)
    before = _running_sum(share) - share
    cut = torch.where((before < top_p) | (top_p >= 1.0), ordered, float("-inf"))
    return torch.full_like(logits_NV, float("-inf")).scatter(-1, index, cut)


def _running_sum(share_NV: torch.Tensor) -> torch.Tensor:
    """Along each row. CUDA gives a row that is alone to a scan whose order of additions varies from run to
    run (cub's), and rows among others to one with a fixed order: never alone, then.
    """
    if share_NV.is_cuda and share_NV.shape[0] == 1:
        return share_NV.repeat(2, 1).cumsum(-1)[:1]
    return share_NV.cumsum(-1)


def scores(
    logits_NV: torch.Tensor,
    positions_N: torch.Tensor,
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> torch.Tensor:
    """The token of each row is the first with the largest score [N, V]: the logits, or log p + noise at a
    temperature above 0. positions: absolute positions of the tokens to be chosen.
    """
    if temperature <= 0:
        return logits_NV
    return warm_scores(logits_NV, positions_N, _scalar(temperature, logits_NV, torch.float32), top_p, seed)


def pick_rows(
    logits_NV: torch.Tensor,
    positions_N: torch.Tensor,
    temperature_N: torch.Tensor,
    top_p_N: torch.Tensor | None,
    seed_N: torch.Tensor,
) -> torch.Tensor:
    """The tokens [N] with the largest `scores`, each row with settings of its own. top_p None: 1 for all."""
    warm_N1 = temperature_N[:, None]
    safe_N1 = torch.where(warm_N1 > 0, warm_N1, 1.0)
    top_p = 1.0 if top_p_N is None else top_p_N[:, None]
    sampled = warm_scores(logits_NV, positions_N, safe_N1, top_p, seed_N).argmax(-1)
    return torch.where(temperature_N > 0, sampled, logits_NV.argmax(-1))


def warm_scores(
    logits_NV: torch.Tensor,
    positions_N: torch.Tensor,
    temperature: torch.Tensor,
    top_p: float | torch.Tensor,
    seed: int | torch.Tensor,
) -> torch.Tensor:
    """`scores` at temperatures above 0, with settings that lie on the device: one, or one a row ([N, 1],
    seeds [N]).
    """
    if logits_NV.is_cuda:
        from model.kernels.noise import noisy

        key = seed if isinstance(seed, torch.Tensor) else _scalar(seed, positions_N, torch.int64)
        if not isinstance(top_p, torch.Tensor) and top_p >= 1.0:
            return noisy(logits_NV, temperature, key, positions_N)
        return noisy(keep_top_p(logits_NV.float() / temperature, top_p), None, key, positions_N)
    scaled = keep_top_p(logits_NV.float() / temperature, top_p)
    ids = torch.arange(logits_NV.shape[-1], device=logits_NV.device)
    return scaled + gumbel(seed, positions_N, ids)


def logprob(logits_NV: torch.Tensor, ids_N: torch.Tensor) -> torch.Tensor:
    """log p [N] of the chosen tokens at temperature 1, in float32. On a GPU with the bits of whole steps."""
    if logits_NV.is_cuda:
        from model.kernels.choice import greedy, log_p

        report, _ = greedy(logits_NV.contiguous())
        return log_p(logits_NV, ids_N, report[2])
    # log_softmax works row by row: the result does not depend on how many rows there are.
    return logits_NV.float().log_softmax(-1).gather(-1, ids_N[:, None])[:, 0]
