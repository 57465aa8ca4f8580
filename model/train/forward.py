"""One packed forward pass, [clean | draft blocks | length queries], and the loss terms that come out of it.

    step = PackedForward(base, heads, config, device)
    terms = step(batch)          # Terms: total with gradient, each term for the log

The clean part runs first, without gradients unless the AR head trains; its keys and values serve the other
two, as the KV cache does in decoding, and its final states are the teacher's. An AR head of its own learns
from its own loss alone: no gradient of drafts or lengths passes those keys and values. Numbers per token:
docs/training.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from model.base import Attend, Base
from model.heads import HeadSet
from model.roles import Role, Route, whole
from model.train import trajectories
from model.train.attention import Cache, CleanPass, Masked, OverClean, clean_rule, draft_rule, query_rule
from model.train.config import TrainConfig
from model.train.loss import Loss, blended_loss
from model.train.objectives import length, on_policy, order, restart
from model.train.processes import full
from model.train.tensors import Tensors


@dataclass(slots=True)
class Terms:
    """Loss terms of a pass; total carries the gradient. draft, refined: the plain and the sequential head's
    states (their token loss, divergence from the base, share that is right); the rest by name."""

    total: torch.Tensor
    log: dict[str, torch.Tensor]


Mean = Callable[[torch.Tensor], torch.Tensor]


class PackedForward:
    def __init__(
        self, base: Base, heads: HeadSet, config: TrainConfig, mean: Mean = lambda value: value
    ) -> None:
        """mean: of a number over all processes of the run."""
        self.mean = mean
        self.base, self.heads, self.config = base, heads, config
        self.device = base.device
        self.flex = self.device.type == "cuda"
        self.compiled = config.training.compile
        names = {head.role: name for name, head in heads.config.heads.items()}
        self.clean_head, self.draft_head = names.get(Role.CLEAN), names.get(Role.DRAFT)
        self.length_head = names.get(Role.LENGTH)
        # Clean tokens that no trained weight touches need no gradients.
        self.frozen = self.clean_head is None and not config.full_fine_tuning.train
        # Else drafts teach the AR head to write what is easy to draft (docs/log.md).
        self.apart = not (config.shared_head or config.full_fine_tuning.train)
        self.use_vocabulary()
        if self.compiled:
            for layer in base.layers:
                layer.compile(dynamic=False)

    def use_vocabulary(self) -> None:
        """Take up the heads' draft vocabulary; call it again when that has changed."""
        output = full(self.base.head_weight().detach())
        vocab = self.heads.draft_vocab
        if vocab.numel():
            self.draft_output_VD = output[vocab].contiguous()
            self.index_of_V = torch.full((self.base.config.vocab,), -1, device=self.device)
            self.index_of_V[vocab] = torch.arange(len(vocab), device=self.device)
        else:
            self.draft_output_VD = output
            self.index_of_V = torch.arange(self.base.config.vocab, device=self.device)

    @property
    def output_VD(self) -> torch.Tensor:  # noqa: N802 - shape suffix
        """The output matrix; asked for in each pass, since a sharded one is whole only there."""
        return self.base.head_weight()

    def __call__(self, t: Tensors) -> Terms:
        clean_RTD, cache = self.clean(t)
        log: dict[str, torch.Tensor] = {}
        if t.ordered_N:
            log["trajectory_likelihood"] = self._order(t, cache)
        draft_RND = self.draft(t, cache)
        total = self._draft_terms(t, clean_RTD, draft_RND, log)
        goals = self.config.objectives
        if t.policy_RNB.numel():
            log["on_policy"] = self._policy_term(t, draft_RND)
            total = total + goals.on_policy * log["on_policy"]
        if not self.frozen and goals.next_token:
            flat = [x.flatten(0, 1) for x in (clean_RTD, t.next_target_RT, t.next_weight_RT)]
            loss = blended_loss(
                flat[0],
                self.output_VD,
                flat[1].clamp_min(0),
                flat[2],
                mass=self.mean(flat[2].sum()),
                compiled=self.compiled,
            )
            log["next_token"] = loss.token
            total = total + goals.next_token * loss.total
        if self.length_head and goals.length:
            log["length"] = self._length_term(t, cache)
            total = total + goals.length * log["length"]
        log["loss"] = total
        return Terms(total, {name: value.detach() for name, value in log.items()})

    def clean(self, t: Tensors) -> tuple[torch.Tensor, Cache]:
        """Final states [R, T, D] of the clean tokens, and every layer's keys and values."""
        R, T = t.ids_RT.shape
        masked = Masked(clean_rule(t.document_RT), R, T, T, self.device, flex=self.flex)
        attention = CleanPass(masked, detach=self.apart)
        with torch.no_grad() if self.frozen else contextlib.nullcontext():
            states = self._run(self.base.embed(t.ids_RT), t.position_RT, attention, whole(self.clean_head))
        return states, attention.cache

    def draft(self, t: Tensors, cache: Cache, *, eager: bool = False) -> torch.Tensor:
        """Final states [R, N * B, D] of the draft blocks. eager: few tokens, whose shapes are not worth
        compiling."""
        R, N, B = t.draft_ids_RNB.shape
        T = t.ids_RT.shape[1]
        masked = Masked(
            draft_rule(t.anchor_RN, t.begin_RN, B, T),
            R,
            N * B,
            T + N * B,
            self.device,
            flex=self.flex and not eager,
        )
        anchor_position = t.position_RT.gather(1, t.anchor_RN)
        position = (anchor_position[..., None] + torch.arange(B, device=self.device)).flatten(1)
        ids = t.draft_ids_RNB.flatten(1)
        x = self.base.embed(ids)
        x = torch.where((ids == self.heads.mask_id)[..., None], self.heads.mask.to(x.dtype), x)
        with torch.compiler.set_stance("force_eager") if eager else contextlib.nullcontext():
            return self._run(x, position, OverClean(masked, cache), whole(self.draft_head))

    def _order(self, t: Tensors, cache: Cache) -> torch.Tensor:
        """Give the last blocks of the batch a state of their best trajectory. Returns its mean
        log-likelihood a block."""
        settings = self.config.seed_diffusion
        N = t.draft_ids_RNB.shape[1]
        blocks = slice(N - t.ordered_N, N)
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence(t.seed).generate_state(1)[0]))
        revealed_RKB, likelihood_RK = trajectories.sample(
            self,
            t,
            [(k.detach(), v.detach()) for k, v in cache],
            blocks,
            passes=settings.order_passes,
            samples=settings.order_trajectories,
            generator=generator,
        )
        drawn_RK = t.noise(t.ordered_N, generator=generator)
        visible, weight = order.states(revealed_RKB, settings.order_passes, settings.order_horizon, drawn_RK)
        # Rows of rollouts have an order already, the one that passed its tests.
        rows = ~t.rollout_R
        truth, target = t.truth_RNB[rows, blocks], t.target_RNB[rows, blocks]
        t.draft_ids_RNB[rows, blocks] = torch.where(visible[rows], truth, self.heads.mask_id or 0)
        t.weight_RNB[rows, blocks] = weight[rows] * (target >= 0)
        t.certain_RNB[rows, blocks] = t.weight_RNB[rows, blocks]
        ordinary_RK = rows[:, None].expand_as(likelihood_RK)
        mean: torch.Tensor = (likelihood_RK * ordinary_RK).sum() / self._count(ordinary_RK)
        return mean

    def query(self, t: Tensors, cache: Cache, *, eager: bool = False) -> torch.Tensor:
        """Final states [R, L, D] of the length queries; slots without a query (-1) hold nothing of use.
        eager: as in `draft`."""
        R, L = t.query_RL.shape
        T = t.ids_RT.shape[1]
        column = t.query_RL.clamp_min(0)
        position = t.position_RT.gather(1, column)
        masked = Masked(query_rule(column, column - position, T), R, L, T + L, self.device, flex=False)
        x = self.base.embed(t.ids_RT.gather(1, column))
        with torch.compiler.set_stance("force_eager") if eager else contextlib.nullcontext():
            return self._run(x, position, OverClean(masked, cache), whole(self.length_head))

    def refine(self, draft_KBD: torch.Tensor, tokens_KB: torch.Tensor) -> torch.Tensor:
        """The sequential head over blocks whose tokens are known."""
        assert self.heads.sequential is not None
        out: torch.Tensor = self.heads.sequential(draft_KBD, self.base.embed(tokens_KB))
        return out

    def _draft_terms(
        self, t: Tensors, clean_RTD: torch.Tensor, draft_RND: torch.Tensor, log: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        R, N, B = t.draft_ids_RNB.shape
        D = draft_RND.shape[-1]
        goals = self.config.objectives
        index_RNB = self.index_of_V[t.target_RNB.clamp_min(0)]
        known_RNB = (t.target_RNB >= 0) & (index_RNB >= 0)
        weight_RNB, certain_RNB = t.weight_RNB * known_RNB, t.certain_RNB * known_RNB * goals.certainty
        if goals.restart and t.refined_N:
            drafts = slice(0, t.refined_N)
            p_RN = self._anchor_probability(t, clean_RTD, drafts)
            weight_RNB[:, drafts] *= restart.weights(p_RN, goals.restart)[..., None]
        teacher_RNBD = self._teacher(t, clean_RTD, N, B) if goals.kl else None

        def loss(states_RKBD: torch.Tensor, blocks: slice) -> Loss:
            def part(x: torch.Tensor) -> torch.Tensor:
                return x[:, blocks].flatten()

            weight_S = part(weight_RNB)
            return blended_loss(
                states_RKBD.reshape(-1, D),
                self.draft_output_VD,
                part(index_RNB).clamp_min(0),
                weight_S,
                None if teacher_RNBD is None else teacher_RNBD[:, blocks].reshape(-1, D),
                kl=goals.kl,
                mass=self.mean(weight_S.sum()),
                certain_S=part(certain_RNB) if goals.certainty else None,
                compiled=self.compiled,
            )

        blocks_RNBD = draft_RND.view(R, N, B, D)
        plain = loss(blocks_RNBD, slice(None))
        log["token"], log["kl"], log["entropy"] = plain.token, plain.kl, plain.entropy
        whole = known_RNB.flatten().float()
        log["right"] = (plain.correct_S * whole).sum() / self._count(whole)
        total = plain.total
        if self.heads.sequential is not None and goals.refined and t.refined_N:
            blocks = slice(0, t.refined_N)
            states = self.refine(
                blocks_RNBD[:, blocks].reshape(-1, B, D), t.truth_RNB[:, blocks].reshape(-1, B)
            )
            refined = loss(states.view(R, t.refined_N, B, D), blocks)
            known = known_RNB[:, blocks].flatten().float()
            log["refined_token"] = refined.token
            log["refined_right"] = (refined.correct_S * known).sum() / self._count(known)
            total = total + goals.refined * refined.total
        return total

    @torch.no_grad()
    def _anchor_probability(self, t: Tensors, clean_RTD: torch.Tensor, blocks: slice) -> torch.Tensor:
        """The base's probability [R, n] of the visible token of each block, among the draft vocabulary."""
        anchor_RN = t.anchor_RN[:, blocks]
        before_RN = (anchor_RN - 1).clamp_min(0)
        states = clean_RTD.gather(1, before_RN[..., None].expand(-1, -1, clean_RTD.shape[-1]))
        log_p = (states @ self.draft_output_VD.T).float().log_softmax(-1)
        index_RN = self.index_of_V[t.ids_RT.gather(1, anchor_RN)]
        p_RN = log_p.gather(2, index_RN.clamp_min(0)[..., None])[..., 0].exp()
        return torch.where(index_RN >= 0, p_RN, 0.0)

    def _teacher(self, t: Tensors, clean_RTD: torch.Tensor, N: int, B: int) -> torch.Tensor:
        """The base's own state for each draft prediction: the clean state at the same column [R, N, B, D]."""
        R, T, D = clean_RTD.shape
        column = (
            (t.anchor_RN[..., None] + torch.arange(B, device=self.device)).clamp_max(T - 1).view(R, N * B)
        )
        return clean_RTD.detach().gather(1, column[..., None].expand(-1, -1, D)).view(R, N, B, D)

    def _policy_term(self, t: Tensors, draft_RND: torch.Tensor) -> torch.Tensor:
        R, N, B = t.policy_RNB.shape
        index_RNB = self.index_of_V[t.policy_RNB.clamp_min(0)]
        asked = (t.policy_RNB >= 0) & (index_RNB >= 0)
        settings = self.config.on_policy
        return on_policy.loss(
            draft_RND.view(R, N, B, -1)[asked],
            self.draft_output_VD,
            index_RNB[asked],
            t.policy_weight_RNB[asked],
            t.policy_old_RNB[asked],
            clip=settings.clip if settings.method == "surrogate" else 0.0,
            mass=self._count(asked),
        )

    def _length_term(self, t: Tensors, cache: Cache) -> torch.Tensor:
        assert self.heads.length is not None
        logits_RLC = self.heads.length(self.query(t, cache))
        real_RL = t.query_RL >= 0
        loss_RL = length.loss(logits_RLC, t.bucket_RL, t.open_RL) * real_RL
        mean: torch.Tensor = loss_RL.sum() / self._count(real_RL)
        return mean

    def _count(self, marks: torch.Tensor) -> torch.Tensor:
        """How many, on average over the processes; never 0."""
        return self.mean(marks.sum().float()).clamp_min(1e-6)

    def _run(self, x: torch.Tensor, position: torch.Tensor, attention: Any, route: Route) -> torch.Tensor:
        if not (self.config.training.gradient_checkpointing and torch.is_grad_enabled()):
            return self.base(x, position, attention, route)  # type: ignore[no-any-return]  # modules are untyped
        turn = self.base.rotation(position)
        for i, layer in enumerate(self.base.layers):
            attend: Attend = attention.layer(i)
            x = checkpoint(layer, x, turn, attend, route, use_reentrant=False)
        return self.base.norm(x)  # type: ignore[no-any-return]  # modules are untyped
