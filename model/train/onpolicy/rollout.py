"""Attempts at tasks with the present heads, judged, one JSON line each.

The diffusion head writes the answer by itself, block after block, without the AR scaffold (whose tokens it
does not decide). Seeds come from (run, round, task, attempt).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from model import diffusion
from model.request import GenerateRequest, Message, Step
from model.rules import Rules
from model.runner import Runner
from model.session import Session
from model.train.onpolicy.trajectory import New, Pass, Rollout

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer
    from model.train.config import TrainConfig
    from model.train.forward import PackedForward
    from model.train.verifier import Task, Verifier

FENCE = "```"


def prompt_ids(tokenizer: Tokenizer, task: Task, fence: str) -> list[int]:
    """A request to complete the stub, the answer begun with it."""
    stub = task["stub"]
    ask = f"Complete this program. Answer with the program only.\n\n{FENCE}{fence}\n{stub}{FENCE}"
    begun = Message("assistant", f"{FENCE}{fence}\n{stub}")
    return tokenizer.render_chat((Message("user", ask), begun))


def attempt_all(
    forward: PackedForward,
    tokenizer: Tokenizer,
    verifier: Verifier,
    config: TrainConfig,
    task: Task,
    seed: Sequence[int],
) -> list[Rollout]:
    """`on_policy.attempts` judged attempts at one task. A prompt that leaves no room in a row: none."""
    prompt = prompt_ids(tokenizer, task, verifier.fence)
    if len(prompt) + config.on_policy.max_tokens > config.training.row_tokens:
        return []
    runner = Runner(forward.base, forward.heads)
    made = []
    with torch.compiler.set_stance("force_eager"):
        for number in range(config.on_policy.attempts):
            noise = int(np.random.SeedSequence([*seed, number]).generate_state(1)[0])
            made.append(_attempt(runner, tokenizer, verifier, config, task, prompt, noise))
    whole = [i for i, (_, _, status) in enumerate(made) if not status]
    verdicts = verifier.judge(task, [task["stub"] + made[i][0].shown for i in whole])
    judged = dict(zip(whole, verdicts, strict=True))
    return [
        Rollout(task["id"], tuple(prompt), tuple(s.ids), passes, judged.get(i, status), bool(status))
        for i, (s, passes, status) in enumerate(made)
    ]


def _attempt(
    runner: Runner,
    tokenizer: Tokenizer,
    verifier: Verifier,
    config: TrainConfig,
    task: Task,
    prompt: list[int],
    seed: int,
) -> tuple[Session, tuple[Pass, ...], str]:
    settings = config.on_policy
    request = GenerateRequest(
        prompt_ids=tuple(prompt),
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        seed=seed,
        stop=(FENCE,),
    )
    session = Session(request, prompt, tokenizer, model="", decode="diffusion", cancel=None)
    cache = runner.cache(len(prompt) + settings.max_tokens + max(config.seed_diffusion.block_size))
    runner.prefill(cache, prompt[:-1])
    rules = Rules(
        block=max(config.seed_diffusion.block_size),
        threshold=settings.threshold,
        commit="block",
        order=verifier.fence == "python",
    )
    limit = (
        tokenizer.vocab_size if tokenizer.mask_id is None else min(tokenizer.mask_id, tokenizer.vocab_size)
    )
    passes: list[Pass] = []
    visible: dict[int, int] = {}
    at = 0
    for step in diffusion.decode(runner, cache, session, tokenizer, rules, settings.max_tokens, limit):
        new = _new(step, visible)
        if new:
            passes.append(Pass(at, new))
        visible |= {position: token for position, token, _ in new}
        at = len(session.ids)
        if step.committed and settings.cut_early and not session.done:
            status = verifier.judge_prefix(task, task["stub"] + session.shown)
            if status:
                return session, tuple(passes), status
    return session, tuple(passes), ""


def _new(step: Step, visible: dict[int, int]) -> tuple[New, ...]:
    shown = {t.position: t for t in (*step.revised, *step.draft, *step.committed)}
    return tuple(
        (place, t.id, round(t.confidence, 6))
        for place, t in sorted(shown.items())
        if visible.get(place) != t.id
    )
