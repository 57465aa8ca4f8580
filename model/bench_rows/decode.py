"""`verified` beside `ar`: the same tokens on real prompts, at what cost with useless and with good drafts."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence

import torch

from model.bench import BenchOptions, Row, summary
from model.calibrate import width_curve
from model.drafter import Drafter, Proposal
from model.engine import Engine
from model.load import load
from model.plan import Planner
from model.request import GenerateRequest, Generation, Message, complete

TITLE = "verified beside ar: equality on real prompts, tokens a pass, cost of useless drafts, oracle drafts"

PROMPTS = (
    "Write a Python function that checks whether a number is prime.",
    "Implement a stack class in Python.",
    "Merge two sorted lists in Python.",
    "Reverse a linked list in Python.",
    "Count the vowels in a string in Python.",
    "Write binary search in Python.",
    "Compute the n-th Fibonacci number with memoisation in Python.",
    "Parse a line of CSV in Python without the csv module.",
    "Flatten a nested list in Python.",
    "Check whether two strings are anagrams in Python.",
    "Find the longest common prefix of a list of strings in Python.",
    "Transpose a matrix in Python.",
    "Write quicksort in Python.",
    "Validate an IPv4 address in Python.",
    "Compute the greatest common divisor in Python.",
    "Rotate a list by k places in Python.",
    "Group words by their first letter in Python.",
    "Convert a Roman numeral to an integer in Python.",
    "Find the duplicates in a list in Python.",
    "Write a Python context manager that times a block.",
)
# Chance that a draft token equals the base's own, measured on chat answers with a trained head (docs/log.md).
ACCEPTANCE = 0.93


class OracleDrafter(Drafter):
    """Drafts the known answer, each token right with probability `rate`; 0 drafts nonsense."""

    def __init__(self, answer: Sequence[int], prompt: int, rate: float) -> None:
        self._answer, self._prompt, self._rate = answer, prompt, rate
        self._random = random.Random(0)

    def propose(
        self,
        h_BD: torch.Tensor,
        known: Sequence[int],
        position: int,
        request: GenerateRequest,
        siblings: int = 0,
    ) -> Proposal:
        at = position - self._prompt
        true = self._answer[at : at + h_BD.shape[0] - len(known) + 1]
        return Proposal([token if self._random.random() < self._rate else token + 1 for token in true])


def decode_ms(result: Generation) -> float:
    """ms a token after the prompt."""
    return (result.wall_s - result.prefill_s) * 1e3 / max(1, result.tokens)


def rows(options: BenchOptions) -> Iterator[Row]:
    engine = load(options.model, device=options.device, heads=options.heads)
    if not isinstance(engine, Engine):
        return
    prompts = PROMPTS[: 3 if options.quick else 20 if engine.device.type == "cuda" else 4]
    complete(engine, GenerateRequest(prompt="warm", max_tokens=2, decode="verified"))
    curve = width_curve(engine.weights.runner, fresh=True)
    engine.forget()  # what was measured lies in a GPU's one cache
    same, tokens, passes = 0, 0, 0
    times: dict[str, list[float]] = {name: [] for name in ("ar", "verified", "useless", "oracle")}
    for prompt in prompts:
        request = GenerateRequest(
            messages=(Message("user", prompt),), max_tokens=options.max_tokens, decode="ar"
        )
        checked = dataclasses.replace(request, decode="verified")
        plain = complete(engine, request)
        times["ar"].append(decode_ms(plain))
        engine.draft_with(None, Planner(curve))
        real = complete(engine, checked)
        times["verified"].append(decode_ms(real))
        same += real.token_ids == plain.token_ids
        tokens, passes = tokens + real.tokens, passes + real.forwards
        for name, rate in (("useless", 0.0), ("oracle", ACCEPTANCE)):
            drafter = OracleDrafter(plain.token_ids, plain.prompt_tokens, rate)
            engine.draft_with(drafter, Planner(curve))
            result = complete(engine, checked)
            times[name].append(decode_ms(result))
            same += result.token_ids == plain.token_ids
    count = len(prompts)
    drafts = "its heads" if engine.info.heads_sha256 else "no heads"
    yield Row("answers equal to ar", same, "runs", 3 * count, same / (3 * count), peer="runs of verified")
    yield Row("tokens a pass", tokens / passes, "tokens", 1.0, tokens / passes, peer="ar", note=drafts)
    plain_ms, spread = summary(times["ar"])
    speed = f"{engine.info.precision}, {1e3 / plain_ms:.1f} tok/s"
    yield Row("ar", plain_ms, "ms/token", spread=spread, note=speed)
    notes = {
        "verified": drafts,
        "useless": "every draft token wrong",
        "oracle": f"draft tokens right with probability {ACCEPTANCE}",
    }
    for name, note in notes.items():
        value, spread = summary(times[name])
        label = "verified" if name == "verified" else f"verified, {name} drafts"
        note = f"{note}, {1e3 / value:.1f} tok/s"
        yield Row(label, value, "ms/token", plain_ms, value / plain_ms, spread, "ar", note)
