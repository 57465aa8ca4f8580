"""`Rules`: which draft tokens `diffusion` commits, and when.

`commit` says who decides: `lenient` (the default) lets the AR head judge drafts (model.judge, `threshold`
is the lenience); `prefix` and `block` run freely, by the diffusion head's own confidence (model.diffusion).
Of these two a rule says which masked positions of a window become visible after a pass:

    threshold   positions whose confidence reaches `threshold`
    entropy     the most certain ones, while their summed entropy stays below `bound`

and always at least one, so that decoding ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from model.errors import RequestError
from model.judge import Judge
from model.request import GenerateRequest

LENIENCE, CONFIDENCE = 0.3, 0.9
"""`threshold` of a lenient answer and of a free one, where the request gives none."""
WINDOW = 3
"""Draft tokens that a lenient judge must like behind one that it did not choose."""
COMMITS = ("lenient", "prefix", "block")
_INSIDE = {"flight", "edit", "delay", "order"}
_FREE = {"rule", "bound", "scaffold", *_INSIDE}
"""Of a free answer; those of `_INSIDE` need an open block."""
_FURTHER = 0.05
"""Later blocks of a window follow earlier ones: they need more certainty the further ahead they are."""


@dataclass(frozen=True, slots=True)
class Rules:
    """block: tokens filled together. threshold: confidence that commits, or lenience; window: of the judge.
    flight: blocks open at once. rule: threshold or entropy. edit: confidence from which a visible token is
    rewritten (1: never). delay: passes that a full block stays open.
    """

    block: int = 32
    threshold: float = CONFIDENCE
    window: int = WINDOW
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
        free = sorted(request.extra.keys() & _FREE)
        inside = sorted(request.extra.keys() & _INSIDE)
        commit = request.extra.get("commit", "block" if inside else "prefix" if free else "lenient")
        extra = {key: request.extra[key] for key in (*free, "window") if key in request.extra}
        extra.pop("scaffold", None)
        block = 32 if request.block is None else request.block
        threshold = request.threshold or (LENIENCE if commit == "lenient" else CONFIDENCE)
        rules = cls(block=block, threshold=threshold, commit=commit, **extra)
        if not 8 <= rules.block <= 128:
            raise RequestError(f"block is {rules.block}; diffusion fills blocks of 8 to 128 tokens")
        if rules.rule not in ("threshold", "entropy"):
            raise RequestError(f"rule is {rules.rule!r}; it is threshold or entropy")
        if commit not in COMMITS:
            raise RequestError(f"commit is {commit!r}; it is one of {', '.join(COMMITS)}")
        if commit == "lenient" and free:
            raise RequestError(f"{', '.join(free)} need commit=prefix or block: here the AR head judges")
        if commit != "lenient" and "window" in extra:
            raise RequestError("window needs commit=lenient: nobody judges a free answer")
        if not 0 <= rules.window <= 64:
            raise RequestError(f"window is {rules.window}; it is 0 to 64 draft tokens")
        if commit == "prefix" and inside:
            raise RequestError(f"{', '.join(inside)} need commit=block: a prefix leaves nothing open")
        if not 1 <= rules.flight <= 4 or rules.delay < 0:
            raise RequestError("flight is 1 to 4 blocks, delay 0 or more passes")
        return rules

    @property
    def record(self) -> dict[str, Any]:
        """Those that decide an answer: two answers with equal ones were made by the same rules."""
        names = [field.name for field in fields(self) if field.name != "window"]
        if self.commit == "lenient":
            names = ["commit", "threshold", "window"]
        return {name: getattr(self, name) for name in names}

    @property
    def judge(self) -> Judge | None:
        """None when the diffusion head runs freely."""
        return Judge(self.threshold, self.window) if self.commit == "lenient" else None

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
