"""Rollouts as the last rows of a batch: states of their trajectories in the draft blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from model.data.samples import Sample
from model.train.onpolicy.pool import Pool, Weighted
from model.train.packing import NO_TARGET, Batch, lay_out

State = tuple[int, Weighted, int]
"""(column of the prompt's first token, rollout, number of the pass)."""


def mix(
    batch: Batch, pool: Pool, rows: int, mask_id: int, horizon: int, method: str, rng: np.random.Generator
) -> Batch:
    """The batch with its last `rows` rows replaced by rollouts drawn from the pool; as it was when the pool
    has nothing to learn. Ordinary terms are 0 there, but for the `order` blocks, which learn what the next
    `horizon` passes of the best solved attempts revealed. `surrogate` asks for what the very next pass
    revealed: the choices that were made."""
    items = [item for item in pool.items if len(item.rollout.answer)]
    if not items:
        return batch
    R, T = batch.ids_RT.shape
    _, N, B = batch.draft_ids_RNB.shape
    new = {name: getattr(batch, name).copy() for name in _CHANGED}
    weight = np.zeros((R, N, B), np.float32)
    old = np.zeros((R, N, B), np.float32)
    target = np.full((R, N, B), NO_TARGET, np.int64)
    for r in range(R - rows, R):
        new["rollout_R"][r] = True
        members = _draw(items, T, rng)
        laid = [Sample(_ints(m.rollout.prompt), _ints(m.rollout.answer)) for m in members]
        ids, position, document, _ = lay_out([laid], T, mask_id)
        new["ids_RT"][r], new["position_RT"][r], new["document_RT"][r] = ids[0], position[0], document[0]
        new["next_target_RT"][r], new["next_weight_RT"][r], new["query_RL"][r] = NO_TARGET, 0, -1
        new["target_RNB"][r], new["weight_RNB"][r], new["certain_RNB"][r] = NO_TARGET, 0, 0
        new["draft_ids_RNB"][r] = new["truth_RNB"][r] = mask_id
        starts = np.cumsum([0, *(len(s.prompt) + len(s.answer) for s in laid)])
        all_states = [
            (int(start), m, k)
            for start, m in zip(starts, members, strict=False)
            for k in range(len(m.rollout.passes))
        ]
        paid = [state for state in all_states if state[1].weight]
        best = [state for state in all_states if state[1].best]
        for n in range(N):
            ordered = n >= N - batch.ordered_N
            choices = (best if ordered else paid) or all_states
            start, item, number = choices[int(rng.integers(len(choices)))]
            begin = start + len(item.rollout.prompt)
            made, visible = list(item.rollout.states())[number]
            new["begin_RN"][r, n] = start
            new["anchor_RN"][r, n] = begin + made.at - 1
            truth = ids[0, begin + made.at - 1 : begin + len(item.rollout.answer)][:B]
            new["truth_RNB"][r, n, : len(truth)] = truth
            line = np.full(B, mask_id)
            line[0] = truth[0]
            for place, token in visible.items():
                if 0 < place - made.at + 1 < B and place >= made.at:
                    line[place - made.at + 1] = token
            new["draft_ids_RNB"][r, n] = line
            reach = 1 if method == "surrogate" and not ordered else horizon
            for later in item.rollout.passes[number : number + reach]:
                for place, token, sure in later.new:
                    i = place - made.at
                    if not 0 <= i < B or place >= len(item.rollout.answer):
                        continue
                    if ordered and item.best:
                        new["target_RNB"][r, n, i] = item.rollout.answer[place]
                        new["weight_RNB"][r, n, i] = 1.0
                    elif not ordered and item.weight:
                        target[r, n, i], weight[r, n, i], old[r, n, i] = token, item.weight, sure
    return replace(batch, policy_RNB=target, policy_weight_RNB=weight, policy_old_RNB=old, **new)


_CHANGED = (
    "ids_RT", "position_RT", "document_RT", "anchor_RN", "begin_RN", "draft_ids_RNB", "truth_RNB",
    "target_RNB", "weight_RNB", "certain_RNB", "next_target_RT", "next_weight_RT", "query_RL",
    "rollout_R",
)  # fmt: skip


def _draw(items: list[Weighted], T: int, rng: np.random.Generator) -> list[Weighted]:
    """Rollouts in random order, as many as fit into a row; at least one."""
    members, left = [], T
    for i in rng.permutation(len(items)):
        need = len(items[i].rollout.prompt) + len(items[i].rollout.answer)
        if need <= left:
            members.append(items[i])
            left -= need
    return members


def _ints(ids: tuple[int, ...]) -> Any:
    return np.array(ids, np.int32)
