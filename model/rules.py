"""`Rules`: which masked positions of a window `diffusion` makes visible after a pass.

    threshold   positions whose confidence reaches `threshold`
    entropy     the most certain ones, while their summed entropy stays below `bound`

and always at least one, so that decoding ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.errors import RequestError
from model.request import GenerateRequest

_FURTHER = 0.05
"""Later blocks of a window follow earlier ones: they need more certainty the further ahead they are."""


@dataclass(frozen=True, slots=True)
class Rules:
    """block: tokens filled together. flight: blocks open at once. rule: threshold or entropy. edit:
    confidence from which a visible token is rewritten (1: never). delay: passes that a full block stays
    open.
    """

    block: int = 32
    threshold: float = 0.9
    rule: str = "threshold"
    commit: str = "prefix"
    bound: float = 0.1
    flight: int = 1
    edit: float = 1.0
    delay: int = 0
    order: bool = True

    @classmethod
    def of(cls, request: GenerateRequest) -> Rules:
        """From a request; what it leaves open is the default. Raises RequestError for what cannot be."""
        known = {"rule", "commit", "bound", "flight", "edit", "delay", "order"}
        extra = {key: value for key, value in request.extra.items() if key in known}
        inside = sorted(extra.keys() & {"flight", "edit", "delay", "order"})
        extra.setdefault("commit", "block" if inside else "prefix")
        block = 32 if request.block is None else request.block
        rules = cls(block=block, threshold=request.threshold or 0.9, **extra)
        if not 8 <= rules.block <= 128:
            raise RequestError(f"block is {rules.block}; diffusion fills blocks of 8 to 128 tokens")
        if rules.rule not in ("threshold", "entropy"):
            raise RequestError(f"rule is {rules.rule!r}; it is threshold or entropy")
        if rules.commit not in ("prefix", "block"):
            raise RequestError(f"commit is {rules.commit!r}; it is prefix or block")
        if rules.commit == "prefix" and inside:
            raise RequestError(f"{', '.join(inside)} need commit=block: a prefix leaves nothing open")
        if not 1 <= rules.flight <= 4 or rules.delay < 0:
            raise RequestError("flight is 1 to 4 blocks, delay 0 or more passes")
        return rules

    def visible(
        self,
        log: torch.Tensor,
        sure: Sequence[float],
        masked: Sequence[int],
        bonus: Sequence[float],
        waits: Sequence[bool],
    ) -> list[int]:
        """Which masked positions become visible, in order of position; at least one if any is masked.

        log: log probabilities [window, V]. sure: the confidence of each position's best token. bonus, waits:
        what its structure adds to that, and whether it must wait for another position (model.order).
        """
        if not masked:
            return []
        score = [
            s + b - _FURTHER * (i // self.block) for i, (s, b) in enumerate(zip(sure, bonus, strict=True))
        ]
        best = max(masked, key=lambda i: (not waits[i], score[i], -i))
        ready = [i for i in masked if not waits[i]]
        if self.rule == "threshold":
            chosen = {i for i in ready if score[i] >= self.threshold}
        else:
            entropy = (-(log.exp() * log.clamp_min(-1e4)).sum(-1)).tolist()
            chosen, spent = set(), 0.0
            for i in sorted(ready, key=lambda i: (entropy[i] - score[i] + sure[i], i)):
                spent += entropy[i]
                if spent > self.bound:
                    break
                chosen.add(i)
        return sorted(chosen | {best})

    def beginning(self, log: torch.Tensor, sure: Sequence[float]) -> list[int]:
        """The run of certain positions at the window's beginning, at least one."""
        if self.rule == "threshold":
            wrong = [confidence < self.threshold for confidence in sure]
        else:
            entropy = -(log.exp() * log.clamp_min(-1e4)).sum(-1)
            wrong = (entropy.cumsum(0) > self.bound).tolist()
        return list(range(max(1, wrong.index(True) if True in wrong else len(sure))))
