"""Rollouts as rows of a batch, and the loss on what they chose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.data.samples import Samples
from model.train.config import TrainConfig
from model.train.objectives import on_policy
from model.train.onpolicy.pool import Pool
from model.train.onpolicy.rows import mix
from model.train.onpolicy.trajectory import Pass, Rollout
from model.train.packing import NO_TARGET, Batch, Batches
from verify.reward import reward
from verify.verdict import Status, Verdict

Make = Callable[..., TrainConfig]
MASK = 250


def rollout(status: str, order: list[list[int]], first: int) -> Rollout:
    """`order`: positions each pass revealed; token at a position: first + position. Blocks of 4."""
    passes, done = [], set[int]()
    for new in order:
        at = next(i for i in range(100) if i not in done) // 4 * 4
        passes.append(Pass(at, tuple((i, first + i, 0.25) for i in new)))
        done |= set(new)
    answer = tuple(first + i for i in range(len(done)))
    return Rollout("t", (240, 241, 242), answer, tuple(passes), status, False)


ROLLOUTS = [
    rollout("passed", [[0, 1, 2, 3], [4, 5, 6, 7]], 10),
    rollout("passed", [[0], [1, 2], [3], [4], [5], [6, 7]], 30),
    rollout("failed", [[1, 0], [3, 2], [4, 6], [5, 7]], 50),
]


def judged(status: str, steps: float, budget: float) -> float | None:
    return reward(Verdict(Status(status)), steps, budget)


def made(make_config: Make, samples: Samples, method: str) -> tuple[Batch, Batch, Pool]:
    config = make_config(
        seed_diffusion={"block_size": [8], "constrained_order": True}, training={"micro_batch_size": 3}
    )
    before = Batches(samples, config, MASK).at(0, edits=True)
    pool = Pool.of(0, ROLLOUTS, judged, method)
    return before, mix(before, pool, 1, MASK, 2, method, np.random.default_rng(0)), pool


@pytest.mark.parametrize("method", ["surrogate", "best_of_k"])
def test_states_are_those_of_the_passes(make_config: Make, samples: Samples, method: str) -> None:
    before, batch, pool = made(make_config, samples, method)
    assert batch.rollout_R.tolist() == [False, False, True]
    weight = {w.rollout.answer[0] // 20: w.weight for w in pool.items}
    for r in (0, 1):
        assert np.array_equal(before.draft_ids_RNB[r], batch.draft_ids_RNB[r])
        assert (batch.policy_RNB[r] == NO_TARGET).all()
    ids = batch.ids_RT[2]
    seen = 0
    for n, i in zip(*np.nonzero(batch.policy_RNB[2] >= 0), strict=True):
        token, anchor = batch.policy_RNB[2, n, i], batch.anchor_RN[2, n]
        seen += 1
        # A state predicts the token behind its own column, and that token was masked in the state.
        assert token == ids[anchor + i + 1]
        assert i + 1 == 8 or batch.draft_ids_RNB[2, n, i + 1] == MASK
        assert batch.draft_ids_RNB[2, n, 0] == ids[anchor]
        assert batch.policy_weight_RNB[2, n, i] == np.float32(weight[token // 20])
        assert batch.policy_old_RNB[2, n, i] == 0.25
    assert seen
    shown = batch.draft_ids_RNB[2] != MASK
    columns = batch.anchor_RN[2][:, None] + np.arange(8)
    assert np.array_equal(batch.draft_ids_RNB[2][shown], ids[columns[shown]])


@pytest.mark.parametrize("method", ["surrogate", "best_of_k"])
def test_ordinary_losses_take_the_order_of_the_best_only(
    make_config: Make, samples: Samples, method: str
) -> None:
    _, batch, pool = made(make_config, samples, method)
    best = next(w.rollout for w in pool.items if w.best)
    assert best.answer == ROLLOUTS[0].answer  # correct, then short
    ordered = slice(batch.draft_ids_RNB.shape[1] - batch.ordered_N, None)
    weights = batch.weight_RNB[2].copy()
    assert weights[ordered].sum() > 0
    assert set(batch.target_RNB[2][weights > 0]) <= set(best.answer)
    weights[ordered] = 0
    assert not weights.any()
    assert not batch.next_weight_RT[2].any()
    assert (batch.query_RL[2] == -1).all()


def test_a_pool_without_anything_to_learn_leaves_the_batch(make_config: Make, samples: Samples) -> None:
    before, _, _ = made(make_config, samples, "best_of_k")
    pool = Pool.of(0, [replace(one, status="failed") for one in ROLLOUTS], judged, "best_of_k")
    assert mix(before, pool, 1, MASK, 2, "best_of_k", np.random.default_rng(0)) is before


@given(
    st.floats(-6, -0.01),
    st.floats(-6, -0.01),
    st.floats(-1, 1).filter(lambda w: abs(w) > 0.01),
    st.booleans(),
)
def test_the_gradient_follows_the_weight_until_it_is_clipped(
    now: float, then: float, weight: float, clipped: bool
) -> None:
    log_p = torch.tensor([now], dtype=torch.float64, requires_grad=True)
    old = torch.tensor([then], dtype=torch.float64).exp()
    clip = 0.2 if clipped else 0.0
    on_policy.objective(log_p, torch.tensor([weight], dtype=torch.float64), old, clip).sum().backward()
    assert log_p.grad is not None
    pull = -float(log_p.grad)
    moved = torch.tensor(now - then).exp() - 1
    if clipped and ((weight > 0 and moved > 0.201) or (weight < 0 and moved < -0.201)):
        assert pull == 0
    elif not clipped or abs(moved) < 0.199:
        assert pull * weight > 0


def test_the_loss_is_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    h, output = (torch.randn(n, 6, generator=generator) for n in (10, 7))
    chosen = torch.arange(10) % 7
    weight, old = torch.ones(10), torch.full((10,), 0.3)
    mass = torch.tensor(10.0)
    whole = on_policy.loss(h, output, chosen, weight, old, clip=0.2, mass=mass)
    monkeypatch.setattr(on_policy, "CHUNK", 3)
    torch.testing.assert_close(on_policy.loss(h, output, chosen, weight, old, clip=0.2, mass=mass), whole)
    log_p = (h @ output.T).log_softmax(-1).gather(-1, chosen[:, None])[:, 0]
    torch.testing.assert_close(
        on_policy.loss(h, output, chosen, weight, old, clip=0, mass=mass), -log_p.mean()
    )
