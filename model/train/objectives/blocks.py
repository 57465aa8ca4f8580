"""How the blocks of a row are divided among the corruptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from model.train.config import ObjectivesConfig
from model.train.objectives import draft, edit, infill


@dataclass(frozen=True, slots=True)
class Mixture:
    """Blocks a row of each kind, laid out in this order: draft, infill, edit."""

    config: ObjectivesConfig
    draft: int
    infill: int
    edit: int

    @classmethod
    def of(cls, config: ObjectivesConfig, blocks: int, *, edits: bool) -> Mixture:
        """Split `blocks` by the configured shares; infill gets an even number when its blocks come in
        pairs."""
        edit_share = config.edit if edits else 0.0
        total = config.draft + config.infill
        edit_count = round(blocks * edit_share)
        infill_count = round((blocks - edit_count) * config.infill / total)
        if config.complementary:
            infill_count -= infill_count % 2
        return cls(config, blocks - edit_count - infill_count, infill_count, edit_count)

    @property
    def blocks(self) -> int:
        return self.draft + self.infill + self.edit

    def groups(self) -> list[tuple[int, int]]:
        """(blocks, copies that share an anchor) of each kind."""
        pairs = 2 if self.config.complementary else 1
        return [(self.draft, 1), (self.infill, pairs), (self.edit, 1)]

    def corrupt(
        self, truth_RNB: Any, inside_RNB: Any, ids_RT: Any, mask_id: int, rng: np.random.Generator
    ) -> tuple[Any, Any, Any]:
        """(inputs, token weight, certainty weight), each [R, N, B]. Certainty is asked of masked blocks
        only."""
        R, N, B = truth_RNB.shape
        config = self.config
        inputs = np.empty_like(truth_RNB)
        weight = np.empty((R, N, B), np.float32)
        a, b = self.draft, self.draft + self.infill
        for r in range(R):
            truth = truth_RNB[r]
            words = ids_RT[r][ids_RT[r] != mask_id]
            inputs[r, :a], weight[r, :a] = draft.corrupt(truth[:a], mask_id, config.draft_decay)
            inputs[r, a:b], weight[r, a:b] = infill.corrupt(
                truth[a:b],
                mask_id,
                config.infill_min,
                config.infill_max,
                config.complementary,
                rng,
                config.infill_prefix,
            )
            inputs[r, b:], weight[r, b:] = edit.corrupt(
                truth[b:], inside_RNB[r, b:], words, mask_id, config.edit_max, rng
            )
        certain = np.zeros_like(weight)
        certain[:, :b] = weight[:, :b]
        return inputs, weight, certain
