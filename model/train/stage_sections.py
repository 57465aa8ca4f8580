"""The sections of a training configuration that say what the diffusion head learns, and when."""

from __future__ import annotations

from dataclasses import dataclass

from model.train.reading import ConfigError, positive, share


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDiffusionConfig:
    """How the diffusion head is trained. Stage 1 learns from masked blocks, stage 2 adds edit corruption.
    stage steps are shares of the run when the run is bounded by time. constrained_order: in stage 2 a share
    of the blocks (objectives.order) learns the best of order_trajectories decoding trajectories of at most
    order_passes passes, what its next order_horizon passes reveal from a point on it. on_policy_learning: in
    stage 2 the heads' own attempts at tasks, judged by `verifier`, are learned from (section on_policy).
    block_size: one size, or several drawn step by step."""

    two_stage_training: bool = True
    stage1_steps: int = 800
    stage2_steps: int = 200
    constrained_order: bool = False
    order_passes: int = 8
    order_trajectories: int = 2
    order_horizon: int = 2
    on_policy_learning: bool = False
    verifier: str = "none"
    block_wise_parallel: bool = True
    block_size: tuple[int, ...] = (32,)
    kv_caching: bool = True

    @property
    def stage1_share(self) -> float:
        if not self.two_stage_training:
            return 1.0
        return self.stage1_steps / max(1, self.stage1_steps + self.stage2_steps)

    def check(self, where: str) -> None:
        if not self.block_size or min(self.block_size) < 2:
            raise ConfigError(f"{where}.block_size must be 2 or more: one visible token and its masks")
        share(where, stage1_share=self.stage1_share)
        positive(
            where,
            order_passes=self.order_passes,
            order_trajectories=self.order_trajectories,
            order_horizon=self.order_horizon,
        )
        if self.constrained_order and self.stage1_share == 1:
            raise ConfigError(
                f"{where}.constrained_order belongs to stage 2, and there is none: set two_stage_training to "
                "true and stage2_steps above 0, or constrained_order to false"
            )
        judged = self.verifier not in ("", "none")
        if self.on_policy_learning != judged:
            raise ConfigError(
                f"{where}.on_policy_learning and {where}.verifier belong together: name the judge of the "
                "rollouts (python, bend_hvm), or set them to false and none"
            )
        if self.on_policy_learning and self.stage1_share == 1:
            raise ConfigError(
                f"{where}.on_policy_learning belongs to stage 2, and there is none: set two_stage_training "
                "to true and stage2_steps above 0"
            )
        if not self.block_wise_parallel:
            raise ConfigError(
                f"{where}.block_wise_parallel: false has no trainer; blocks are trained side by side"
            )
        if not self.kv_caching:
            raise ConfigError(
                f"{where}.kv_caching: false has no trainer; draft copies always share the clean K/V"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectivesConfig:
    """Weights of the loss terms, and the share of the draft blocks that each corruption gets.

    draft: all masks, weight exp(-j / draft_decay) at the j-th prediction; restart: share of a block's
    weight that grows with the base's doubt about its visible token (objectives/restart.py). infill:
    masked at a ratio drawn from [infill_min, infill_max], in complementary pairs; infill_prefix of them
    show a beginning and mask what follows, as a decoder's blocks do. edit: stage 2 only, at most edit_max
    of the tokens inserted, deleted or substituted. order: stage 2 only, with constrained_order.
    on_policy: weight of the on-policy term, stage 2 only, with on_policy_learning. kl: part of the target
    that is the base's own distribution, the rest being the token. next_token: loss of the AR head, when it
    trains. scaffold: weight of tokens that lay out a program (def, class, if, return, ...) in the
    next-token loss."""

    draft: float = 0.7
    infill: float = 0.3
    edit: float = 0.15
    order: float = 0.1
    on_policy: float = 0.1
    draft_decay: float = 14.0
    restart: float = 0.0
    infill_min: float = 0.1
    infill_max: float = 1.0
    infill_prefix: float = 0.0
    complementary: bool = True
    edit_max: float = 0.1
    kl: float = 0.5
    certainty: float = 0.0
    refined: float = 1.0
    next_token: float = 0.2
    scaffold: float = 2.0
    length: float = 0.1

    def check(self, where: str) -> None:
        names = (
            "draft",
            "infill",
            "edit",
            "order",
            "restart",
            "infill_min",
            "infill_max",
            "infill_prefix",
            "edit_max",
            "kl",
        )
        share(where, **{name: getattr(self, name) for name in names})
        for name in ("on_policy", "certainty", "refined", "next_token", "scaffold", "length"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{where}.{name} must be 0 or more")
        positive(where, draft_decay=self.draft_decay)
        if self.infill_min > self.infill_max:
            raise ConfigError(f"{where}.infill_min is above infill_max")
        if self.edit_max > 0.1:
            raise ConfigError(
                f"{where}.edit_max must be at most 0.1: more edits hide the program they damage"
            )
        if self.edit + self.order >= 1:
            raise ConfigError(f"{where}: edit and order leave no block for draft and infill")
        if self.draft + self.infill <= 0:
            raise ConfigError(f"{where}: draft and infill are both 0; nothing would be trained")
