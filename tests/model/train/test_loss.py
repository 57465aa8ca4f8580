"""The chunked loss against plain autograd over all logits."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from model.train.loss import blended_loss


@pytest.mark.parametrize("kl", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("chunk", [5, 64])
def test_loss_and_gradient_match_autograd(kl: float, chunk: int) -> None:
    torch.manual_seed(0)
    h, W, teacher = torch.randn(23, 8), torch.randn(31, 8), torch.randn(23, 8)
    target, weight = torch.randint(0, 31, (23,)), torch.rand(23)
    certain = torch.rand(23)
    mine = h.clone().requires_grad_()
    got = blended_loss(mine, W, target, weight, teacher, kl=kl, certain_S=certain, chunk=chunk)
    got.total.backward()

    plain = h.clone().requires_grad_()
    log_p = F.log_softmax(plain @ W.T, -1)
    log_q = F.log_softmax(teacher @ W.T, -1)
    token = -log_p.gather(1, target[:, None])[:, 0]
    divergence = (log_q.exp() * (log_q - log_p)).sum(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    right = log_p.argmax(-1) == target
    wanted = (weight * ((1 - kl) * token + kl * divergence) + certain * right * entropy).sum() / weight.sum()
    wanted.backward()
    torch.testing.assert_close(got.total, wanted)
    torch.testing.assert_close(mine.grad, plain.grad)
    assert torch.equal(got.correct_S, right)


def test_states_of_weight_zero_change_nothing() -> None:
    torch.manual_seed(0)
    h, W = torch.randn(6, 4), torch.randn(9, 4)
    target, weight = torch.zeros(6, dtype=torch.int64), torch.tensor([1.0, 0, 1, 0, 1, 1])
    full = blended_loss(h, W, target, weight)
    kept = weight > 0
    part = blended_loss(h[kept], W, target[kept], weight[kept])
    torch.testing.assert_close(full.total, part.total)
