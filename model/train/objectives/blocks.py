"""How the blocks of a row are divided among the corruptions.

Blocks of a decoding trajectory (`order`) come last; they are laid out all masked here, and the forward pass,
which has the heads, puts a state of their trajectory in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from model.train.objectives import draft, edit, infill
from model.train.stage_sections import ObjectivesConfig


@dataclass(frozen=True, slots=True)
class Mixture:
    """Blocks a row of each kind, laid out in this order: draft, infill, edit, order."""

    config: ObjectivesConfig
    draft: int
    infill: int
    edit: int
    order: int = 0

    @classmethod
    def of(cls, config: ObjectivesConfig, blocks: int, *, edits: bool, order: bool = False) -> Mixture:
        """Split `blocks` by the configured shares; infill gets an even number when its blocks come in
        pairs."""
        edit_share = config.edit if edits else 0.0
        total = config.draft + config.infill
        edit_count = round(blocks * edit_share)
        order_count = round(blocks * config.order) if order else 0
        rest = blocks - edit_count - order_count
        infill_count = round(rest * config.infill / total)
        if config.complementary:
            infill_count -= infill_count % 2
        return cls(config, rest - infill_count, infill_count, edit_count, order_count)

    @property
    def blocks(self) -> int:
        return self.draft + self.infill + self.edit + self.order

    def groups(self) -> list[tuple[int, int]]:
        """(blocks, copies that share an anchor) of each kind."""
        pairs = 2 if self.config.complementary else 1
        return [(self.draft, 1), (self.infill, pairs), (self.edit, 1), (self.order, 1)]

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
        c = b + self.edit
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
            inputs[r, b:c], weight[r, b:c] = edit.corrupt(
                truth[b:c], inside_RNB[r, b:c], words, mask_id, config.edit_max, rng
            )
            inputs[r, c:], weight[r, c:] = draft.corrupt(truth[c:], mask_id, config.draft_decay)
        certain = np.zeros_like(weight)
        certain[:, :b] = weight[:, :b]
        return inputs, weight, certain
