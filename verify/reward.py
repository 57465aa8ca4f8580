"""From a verdict to a reward: correctness first, then fewer steps among the correct.

    reward(verdict, steps=12, budget=64)  -> 1.16      (None: mask this sample out)

Why lexicographic and not additive: an additive bonus for few steps pays for wrong-but-fast answers, and a
policy that can trade correctness for speed will. Here every full pass beats every partial one, whatever its
steps. Why None: REFUSED, UNSUPPORTED, UNAVAILABLE and INTERNAL_ERROR say nothing about the candidate. A zero
for them would teach the model to avoid tasks on which our own sandbox is flaky. Why no partial credit by
default: a candidate that answers the easy half of the cases (an empty list, a constant) earns half the reward
for no work. `partial` turns it on, scaled so that it stays below any pass.
"""

from __future__ import annotations

from verify.verdict import Verdict

STEP_WEIGHT = 0.2


def reward(
    verdict: Verdict, steps: float | None = None, budget: float | None = None, *, partial: bool = False
) -> float | None:
    """The reward in [0, 1 + STEP_WEIGHT], or None where the sample must be masked out of the batch.

    steps, budget: forward passes used and allowed (budget > 0); a pass earns 1 + 0.2 * (1 - steps / budget),
    never less than 1. Normalise steps by output length before the call if lengths differ, or short degenerate
    code wins. partial: a fail earns up to 0.5 by its share of passed cases. Raises ValueError for a step
    count without a budget.
    """
    if not verdict.rewardable:
        return None
    if not verdict.ok:
        return 0.5 * verdict.score if partial else 0.0
    if steps is None:
        return 1.0
    if budget is None or budget <= 0 or steps < 0:
        raise ValueError("steps need a positive budget")
    return 1.0 + STEP_WEIGHT * max(0.0, 1.0 - steps / budget)
