"""Cross-entropy over a wide vocabulary without ever holding all logits.

    result = blended_loss(h_SD, weight_VD, target_S, weight_S, teacher_SD, kl=0.5)

States are taken in chunks; each chunk's logits live only while its loss and its gradient with respect to
the states are computed, in the forward pass (the output matrix is frozen, so nothing else is needed later).
The target of a state is (1 - kl) * its token + kl * the distribution the teacher's state gives at the same
place. An optional certainty term adds the entropy of states that are right already (dParallel, arXiv
2509.26488).
"""

from __future__ import annotations

# ruff: noqa: N815 - shape suffixes carry capitals, in fields as in variables
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Loss:
    """total: scalar with gradient, the weighted mean. token, kl, entropy: weighted means for the log, without
    gradient; correct_S: whether each state's best token is its target."""

    total: torch.Tensor
    token: torch.Tensor
    kl: torch.Tensor
    entropy: torch.Tensor
    correct_S: torch.Tensor


def blended_loss(
    h_SD: torch.Tensor,
    weight_VD: torch.Tensor,
    target_S: torch.Tensor,
    weight_S: torch.Tensor,
    teacher_SD: torch.Tensor | None = None,
    *,
    kl: float = 0.0,
    certain_S: torch.Tensor | None = None,
    mass: torch.Tensor | None = None,
    compiled: bool = False,
    chunk: int = CHUNK,
) -> Loss:
    """States [S, D] against the output matrix [V, D]. weight_S: of each state, 0 to leave it out (its
    target may then be anything in range); certain_S: weight of its entropy where it is right.
    mass: what the sums are divided by (None: the weights' sum)."""
    kl = kl if teacher_SD is not None else 0.0
    mass = (weight_S.sum() if mass is None else mass).clamp_min(1e-6)
    certain_S = torch.zeros_like(weight_S) if certain_S is None else certain_S
    states = len(h_SD)
    if compiled and (short := -states % chunk):
        # Equal chunks compile once; the filler has weight 0.
        h_SD, target_S, weight_S, certain_S = (
            _longer(x, short) for x in (h_SD, target_S, weight_S, certain_S)
        )
        teacher_SD = None if teacher_SD is None else _longer(teacher_SD, short)
    *sums, correct_S = _Blended.apply(  # type: ignore[no-untyped-call]  # autograd functions are untyped
        h_SD, weight_VD, target_S, weight_S / mass, certain_S / mass, teacher_SD, kl, compiled, chunk
    )
    total, token, divergence, entropy = sums
    return Loss(total, token, divergence, entropy, correct_S[:states])


def _longer(x: torch.Tensor, by: int) -> torch.Tensor:
    return torch.cat((x, x.new_zeros((by, *x.shape[1:]))))


class _Blended(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h_SD: torch.Tensor,
        weight_VD: torch.Tensor,
        target_S: torch.Tensor,
        weight_S: torch.Tensor,
        certain_S: torch.Tensor,
        teacher_SD: torch.Tensor | None,
        kl: float,
        compiled: bool,
        chunk: int,
    ) -> tuple[torch.Tensor, ...]:
        terms_of = _terms(compiled)
        grad_SD = torch.empty_like(h_SD)
        correct_S = torch.empty_like(target_S, dtype=torch.bool)
        sums = torch.zeros(4, device=h_SD.device)
        for start in range(0, len(h_SD), chunk):
            part = slice(start, start + chunk)
            s_CV = h_SD[part] @ weight_VD.T
            q_CV = teacher_SD[part] @ weight_VD.T if teacher_SD is not None and kl else s_CV
            g_CV, terms, correct_S[part] = terms_of(
                s_CV, q_CV, target_S[part], weight_S[part], certain_S[part], kl
            )
            grad_SD[part] = g_CV @ weight_VD
            sums += terms
        ctx.save_for_backward(grad_SD)
        ctx.mark_non_differentiable(correct_S)
        return sums[0], sums[1], sums[2], sums[3], correct_S

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad_SD,) = ctx.saved_tensors
        return (grad_SD * grads[0].to(grad_SD.dtype), *[None] * 8)


def _chunk_terms(
    s_CV: torch.Tensor,
    q_CV: torch.Tensor,
    target_C: torch.Tensor,
    weight_C: torch.Tensor,
    certain_C: torch.Tensor,
    kl: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(gradient on the logits, [total, token, kl, entropy] sums, right or not) of one chunk, in float32
    inside."""
    logits = s_CV.float()
    log_p = logits - logits.logsumexp(-1, keepdim=True)
    p = log_p.exp()
    correct_C = s_CV.argmax(-1) == target_C
    token_C = -log_p.gather(1, target_C[:, None])[:, 0]
    entropy_C = -(p * log_p).sum(-1)
    sure_C = certain_C * correct_C
    w, c = weight_C[:, None], sure_C[:, None]
    columns = torch.arange(s_CV.shape[1], device=s_CV.device)
    grad = w * p - w * (1 - kl) * (columns == target_C[:, None]) - c * p * (log_p + entropy_C[:, None])
    kl_C = torch.zeros_like(token_C)
    if kl:
        teacher = q_CV.float()
        log_q = teacher - teacher.logsumexp(-1, keepdim=True)
        q = log_q.exp()
        kl_C = (q * (log_q - log_p)).sum(-1)
        grad = grad - w * kl * q
    token, divergence = (weight_C * token_C).sum(), (weight_C * kl_C).sum()
    entropy = (sure_C * entropy_C).sum()
    total = (1 - kl) * token + kl * divergence + entropy
    return grad.to(s_CV.dtype), torch.stack((total, token, divergence, entropy)), correct_C


@lru_cache(maxsize=2)
def _terms(compiled: bool) -> Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    return torch.compile(_chunk_terms, dynamic=False) if compiled else _chunk_terms
