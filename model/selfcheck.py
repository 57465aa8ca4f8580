"""`model selfcheck`: do the invariants of the design hold on these weights and this device?

    for check in run(Subject(engine, heads_folder, prompts, tokens=120)):
        print(check.name, check.passed, check.detail)

Each check runs whatever the others found: one that raises has failed, with its error as detail. The engine
computes as it always does; only the mixed passes have a reference of their own, float32 in plain torch on
the CPU.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from model.base import Base
from model.bench_rows.decode import PROMPTS
from model.engine import Engine
from model.heads import HeadSet
from model.memory import shape_of
from model.passcheck import HISTORY, Found, cache_in_pieces, mixed_passes, rows_at_every_width
from model.request import Decode, GenerateRequest, Generation, Message, complete
from model.runner import Runner

WARM = 0.8
"""Temperature of the sampled answers."""
LIMIT = {"bf16": 0.05, "mixed": 0.05, "fp32": 1e-3}
"""Relative error of final states that rounding explains; a wrong head or mask gives 0.6 and more
(docs/log.md)."""
_NO_EXACTNESS = "mixed precision gives this up (docs/decoding.md)"


@dataclass(frozen=True, slots=True)
class Check:
    """passed None: the check does not apply here, and `detail` says why."""

    name: str
    passed: bool | None
    detail: str
    seconds: float


class Subject:
    """What is checked. heads: the folder of the engine's heads, None for the bare base. tokens: of an
    answer, at most.
    """

    def __init__(self, engine: Engine, heads: Path | None, prompts: Sequence[str], tokens: int) -> None:
        self.engine, self.heads, self.prompts, self.tokens = engine, heads, tuple(prompts), tokens
        self._plain: dict[tuple[int, float], Generation] = {}

    def request(self, index: int, temperature: float = 0.0, decode: Decode = "ar") -> GenerateRequest:
        return GenerateRequest(
            messages=(Message("user", self.prompts[index]),),
            max_tokens=self.tokens,
            temperature=temperature,
            seed=index,
            decode=decode,
        )

    def answer(self, index: int, temperature: float = 0.0, decode: Decode = "ar") -> Generation:
        return complete(self.engine, self.request(index, temperature, decode))

    def plain(self, index: int, temperature: float = 0.0) -> Generation:
        """The answer of `ar`, which several checks compare with."""
        key = index, temperature
        if key not in self._plain:
            self._plain[key] = self.answer(index, temperature)
        return self._plain[key]

    def runner(self) -> Runner:
        """The engine's, with its heads mounted. Its caches are the caller's: the engine keeps none."""
        complete(self.engine, GenerateRequest(prompt="warm", max_tokens=1, decode="verified"))
        self.engine.forget()
        return self.engine.weights.runner

    def ids(self, count: int) -> list[int]:
        """Tokens of a long chat message, always the same: `count` or what the context holds."""
        text = self.engine.encode(GenerateRequest(messages=(Message("user", "\n".join(PROMPTS * 2)),)))
        return text[: min(count, self.engine.context - 1)]

    @property
    def exact(self) -> bool:
        return self.engine.weights.precision != "mixed"


def run(subject: Subject, only: Sequence[str] | None = None) -> Iterator[Check]:
    """Every check, or those named, as it is done."""
    for name, check in CHECKS:
        if only is not None and name not in only:
            continue
        begin = time.perf_counter()
        try:
            found = check(subject)
        except Exception as error:  # whatever a device raises is this check's finding
            line = " ".join(str(error).split()) or "no message"
            found = Found(False, f"{type(error).__name__}: {line[:300]}")
        yield Check(name, found.passed, found.detail, time.perf_counter() - begin)


def rows(subject: Subject) -> Found:
    return rows_at_every_width(subject.runner())


def mixed(subject: Subject) -> Found:
    """Against float32 in plain torch on the CPU."""
    engine = subject.engine
    need, free = 4.4 * shape_of(engine.folder).parameters, psutil.virtual_memory().available
    if need > free:
        return Found(None, f"the float32 reference takes {need / 1e9:.0f} GB, {free / 1e9:.0f} are free")
    base, heads = Base.load(engine.folder, dtype=torch.float32, device="cpu", fp8=False), None
    if subject.heads is not None:
        base_sha256, tokenizer_sha256 = engine.weights.base_sha256, engine.tokenizer.sha256
        heads = HeadSet.load(subject.heads, base, base_sha256=base_sha256, tokenizer_sha256=tokenizer_sha256)
    ids = subject.ids(HISTORY + 32)
    return mixed_passes(subject.runner(), Runner(base, heads), ids, LIMIT[engine.weights.precision])


def pieces(subject: Subject) -> Found:
    if not subject.exact:
        return Found(None, _NO_EXACTNESS)
    return cache_in_pieces(subject.runner(), subject.ids(300))


def verified(subject: Subject) -> Found:
    if not subject.exact:
        return Found(None, _NO_EXACTNESS)
    return _same_as_ar(subject, "verified")


def lookup(subject: Subject) -> Found:
    return _same_as_ar(subject, "lookup")


def _same_as_ar(subject: Subject, decode: Decode) -> Found:
    pairs = [(subject.plain(i), subject.answer(i, decode=decode)) for i in range(len(subject.prompts))]
    found = _compare(pairs)
    tokens, forwards = (sum(getattr(result, name) for _, result in pairs) for name in ("tokens", "forwards"))
    return dataclasses.replace(found, detail=f"{found.detail}, {tokens / max(1, forwards):.2f} tokens a pass")


def batch_greedy(subject: Subject) -> Found:
    return _batch(subject, 0.0)


def batch_sampled(subject: Subject) -> Found:
    return _batch(subject, WARM)


def _batch(subject: Subject, temperature: float) -> Found:
    numbers = range(len(subject.prompts))
    together: dict[int, Generation] = {}
    for index, step in subject.engine.generate_many([subject.request(i, temperature) for i in numbers]):
        if step.result is not None:
            together[index] = step.result
    return _compare([(subject.plain(i, temperature), together[i]) for i in numbers])


def sampled_twice(subject: Subject) -> Found:
    pairs = [
        (subject.answer(i, WARM, "verified"), subject.answer(i, WARM, "verified"))
        for i in range(len(subject.prompts))
    ]
    return _compare(pairs)


def sampled_verified(subject: Subject) -> Found:
    if not subject.exact:
        return Found(None, _NO_EXACTNESS)
    numbers = range(len(subject.prompts))
    return _compare([(subject.plain(i, WARM), subject.answer(i, WARM, "verified")) for i in numbers])


def _compare(pairs: Sequence[tuple[Generation, Generation]]) -> Found:
    """Token for token, with the end of the answer. The detail names the first answers that part."""
    parted = []
    for number, (one, two) in enumerate(pairs):
        if (one.token_ids, one.finish_reason) != (two.token_ids, two.finish_reason):
            both = enumerate(zip(one.token_ids, two.token_ids, strict=False))
            at = next((i for i, (a, b) in both if a != b), min(one.tokens, two.tokens))
            parted.append(f"prompt {number} at token {at}")
    detail = (
        f"{len(pairs) - len(parted)} of {len(pairs)} answers equal, {sum(a.tokens for a, _ in pairs)} tokens"
    )
    if parted:
        detail += f"; parted: {', '.join(parted[:5])}"
    return Found(not parted, detail)


CHECKS: tuple[tuple[str, Callable[[Subject], Found]], ...] = (
    ("rows at every width", rows),
    ("mixed passes", mixed),
    ("verified = ar", verified),
    ("lookup = ar", lookup),
    ("batch = single, greedy", batch_greedy),
    ("batch = single, sampled", batch_sampled),
    ("sampled verified, twice", sampled_twice),
    ("sampled verified = ar", sampled_verified),
    ("cache in pieces", pieces),
)
