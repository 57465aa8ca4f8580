"""The packed pass is one forward under `model.roles.visible`, and learns nothing it must not see."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.base import Attend
from model.roles import Role, Segment, Tokens, visible
from model.train.config import TrainConfig
from model.train.forward import Tensors
from model.train.objectives import restart
from model.train.trainer import Trainer


class Dense:
    """Attention under one boolean mask for all layers."""

    def __init__(self, mask_TT: torch.Tensor) -> None:
        self.mask = mask_TT

    def layer(self, index: int) -> Attend:
        return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask, enable_gqa=True)


def randomise(trainer: Trainer) -> None:
    """Fresh heads are zero and would hide a wrong route."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in trainer.parameters.values():
            parameter.add_(0.05 * torch.randn_like(parameter))


def test_equals_one_forward_under_the_rules_of_roles(
    make_config: Callable[..., TrainConfig], tmp_path: object
) -> None:
    config = make_config(ar_head={"train": True, "r": 4, "alpha": 8}, objectives={"next_token": 0.1})
    trainer = Trainer(config, tmp_path)  # type: ignore[arg-type]  # pytest's tmp_path is a Path
    randomise(trainer)
    batch = trainer.batches.at(0)
    t, forward, base = Tensors.of(batch, torch.device("cpu")), trainer.forward, trainer.base
    with torch.no_grad():
        clean_RTD, cache = forward.clean(t)
        draft_RND = forward.draft(t, cache)
        query_RLD = forward.query(t, cache)
    N, B = batch.draft_ids_RNB.shape[1:]
    found = 0
    for r in range(len(batch.ids_RT)):
        for document in range(batch.document_RT[r].max() + 1):
            columns = np.flatnonzero(batch.document_RT[r] == document)
            blocks = np.flatnonzero(batch.begin_RN[r] == columns[0])
            size, count = len(columns), len(blocks) * B
            offset = (batch.anchor_RN[r, blocks] - columns[0])[:, None] + np.arange(B)
            last = int(batch.query_RL[r, document] - columns[0])
            position = torch.tensor([*range(size), *offset.ravel(), last])[None]
            role = torch.tensor([Role.CLEAN] * size + [Role.DRAFT] * count + [Role.LENGTH])[None]
            block = torch.tensor([0] * size + list(np.repeat(np.arange(len(blocks)) + 1, B)) + [0])[None]
            begin = torch.tensor([0] * size + list(np.repeat(offset[:, 0], B)) + [0])[None]
            tokens = Tokens(role, position, block, begin)
            ids = torch.tensor(batch.draft_ids_RNB[r, blocks].ravel())
            x_draft = base.embed(ids)
            x_draft[ids == trainer.heads.mask_id] = trainer.heads.mask.detach()
            x_clean = base.embed(torch.tensor(batch.ids_RT[r, columns]))
            x = torch.cat((x_clean, x_draft, x_clean[last : last + 1]))[None]
            route = (
                Segment(0, size, "ar_head"),
                Segment(size, size + count, "diffusion_head"),
                Segment(size + count, size + count + 1, "length_head"),
            )
            with torch.no_grad():
                h = base(x, position, Dense(visible(tokens, tokens)[:, None]), route)[0]
            torch.testing.assert_close(clean_RTD[r, columns], h[:size], atol=1e-4, rtol=1e-4)
            mine = draft_RND[r].view(N, B, -1)[blocks].flatten(0, 1)
            torch.testing.assert_close(mine, h[size : size + count], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(query_RLD[r, document], h[-1], atol=1e-4, rtol=1e-4)
            found += count
    assert found == batch.draft_ids_RNB.size


def test_a_draft_state_does_not_see_its_target(
    make_config: Callable[..., TrainConfig], tmp_path: object
) -> None:
    """Changing every token from an anchor's successor on leaves an all-masked block as it was."""
    trainer = Trainer(make_config(), tmp_path)  # type: ignore[arg-type]  # pytest's tmp_path is a Path
    randomise(trainer)
    batch = trainer.batches.at(0)
    anchor = int(batch.anchor_RN[0, 0])
    ids = batch.ids_RT.copy()
    ids[0, anchor + 1 :] = (ids[0, anchor + 1 :] + 1) % 250
    changed = dataclasses.replace(batch, ids_RT=ids)
    with torch.no_grad():
        states = []
        for each in (batch, changed):
            t = Tensors.of(each, torch.device("cpu"))
            states.append(trainer.forward.draft(t, trainer.forward.clean(t)[1]))
    B = batch.draft_ids_RNB.shape[2]
    assert torch.equal(states[0][0, :B], states[1][0, :B])
    assert not torch.equal(states[0][0], states[1][0])


def test_frozen_parts_get_no_gradient(make_config: Callable[..., TrainConfig], tmp_path: object) -> None:
    trainer = Trainer(make_config(), tmp_path)  # type: ignore[arg-type]  # pytest's tmp_path is a Path
    trainer.forward(Tensors.of(trainer.batches.at(0), trainer.device)).total.backward()  # type: ignore[no-untyped-call]  # torch's own
    assert all(p.grad is None for p in trainer.base.parameters() if not p.requires_grad)
    assert all(p.grad is not None for p in trainer.parameters.values())


@pytest.mark.parametrize("shared", [False, True])
def test_drafts_and_lengths_teach_the_ar_head_only_where_it_is_one_adapter_with_theirs(
    make_config: Callable[..., TrainConfig], tmp_path: Path, *, shared: bool
) -> None:
    same = {"train": True, "r": 4, "alpha": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}
    heads = dict.fromkeys(("ar_head", "diffusion_head", "length_head"), same)
    config = make_config(shared_head=shared, objectives={"next_token": 0.0}, **heads)
    trainer = Trainer(config, tmp_path)
    randomise(trainer)  # B = 0 would hide a gradient of A
    trainer.forward(Tensors.of(trainer.batches.at(0), trainer.device)).total.backward()  # type: ignore[no-untyped-call]  # torch's own
    of_ar = [p.grad for name, p in trainer.parameters.items() if name.startswith("ar_head")]
    assert of_ar
    assert any(grad is not None and bool(grad.any()) for grad in of_ar) == shared


def test_gradient_checkpointing_changes_nothing(
    make_config: Callable[..., TrainConfig], tmp_path: object
) -> None:
    losses = []
    for flag in (False, True):
        trainer = Trainer(make_config(training={"gradient_checkpointing": flag}), tmp_path)  # type: ignore[arg-type]  # a Path
        terms = trainer.forward(Tensors.of(trainer.batches.at(0), trainer.device))
        terms.total.backward()  # type: ignore[no-untyped-call]  # torch's own
        grads = [p.grad.clone() for p in trainer.parameters.values() if p.grad is not None]
        losses.append((terms.total.detach(), grads))
    torch.testing.assert_close(losses[0], losses[1])


def test_blocks_behind_doubtful_tokens_weigh_more(
    make_config: Callable[..., TrainConfig], tmp_path: object
) -> None:
    trainer = Trainer(make_config(objectives={"restart": 1.0}), tmp_path)  # type: ignore[arg-type]  # a Path
    randomise(trainer)
    t, forward = Tensors.of(trainer.batches.at(0), torch.device("cpu")), trainer.forward
    clean_RTD, _ = forward.clean(t)
    before = t.weight_RNB.clone()
    p_RN = forward._anchor_probability(t, clean_RTD, slice(0, t.refined_N))
    logits = forward.base.logits(clean_RTD)[..., forward.heads.draft_vocab].softmax(-1)
    vocabulary = forward.heads.draft_vocab.tolist()
    for r, n in ((0, 0), (1, 2)):
        column = int(t.anchor_RN[r, n])
        token = int(t.ids_RT[r, column])
        expected = logits[r, column - 1, vocabulary.index(token)] if token in vocabulary else 0.0
        torch.testing.assert_close(p_RN[r, n], torch.as_tensor(expected))
    weights = restart.weights(p_RN, 1.0)
    torch.testing.assert_close(weights.mean(), torch.tensor(1.0))
    assert torch.equal(weights.flatten().argsort(), (1 - p_RN).flatten().argsort())
    assert torch.equal(restart.weights(p_RN, 0.0), torch.ones_like(p_RN))
    weighted = forward(t).total
    forward.config = make_config(objectives={"restart": 0.0})
    assert not torch.equal(weighted, forward(t).total)
    assert torch.equal(t.weight_RNB, before)
