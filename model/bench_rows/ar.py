"""AR decoding: our engine beside a plain transformers greedy loop with its KV cache, in the same precision.

Both read the same prompts and decode the same number of tokens, greedily; the tokens are compared. Where our
engine reads prompts in float32 and decodes in bf16 (CPUs without bf16 units), the peer does the same with
two models.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model.bench import BenchOptions, Row, alternate, summary
from model.errors import RequestError
from model.request import GenerateRequest, Message, complete

if TYPE_CHECKING:
    from model.engine import Engine

TITLE = "AR decoding of our engine beside a transformers greedy loop, same precision, same tokens"

PROMPTS = (
    "Write a Python function that tells whether a string is a palindrome.",
    "Write a Python function that merges two sorted lists into one sorted list.",
    "Explain in two sentences what a hash table is, then write one in Python.",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One answer: its ids, and the seconds that reading the prompt and decoding took."""

    ids: tuple[int, ...]
    prompt_tokens: int
    prefill_s: float
    decode_s: float


def rows(options: BenchOptions) -> Iterator[Row]:
    """The engine's own precision in full, then the tokens once more in float32, where rounding is no
    excuse.
    """
    from model.engine import Engine
    from model.load import load

    engine = load(options.model, device=options.device, heads="none")
    if not isinstance(engine, Engine):
        raise RequestError(f"{options.model} does not run in our engine, which this group measures")
    yield from _compare(engine, options, options.repeats)
    if engine.weights.precision != "fp32":
        folder, name, device = engine.folder, engine.name, str(engine.device)
        del engine
        exact = Engine(folder, name=name, device=device, precision="fp32")
        yield from _compare(exact, options, 1, "_fp32")


def _compare(engine: Engine, options: BenchOptions, repeats: int, suffix: str = "") -> Iterator[Row]:
    peer = Peer(engine)
    few = options.quick or engine.device.type == "cpu" or repeats == 1
    prompts = PROMPTS[: 1 if few else None]
    ours: list[Run] = []
    theirs: list[Run] = []
    same = compared = 0
    differences: list[str] = []
    for number, text in enumerate(prompts, 1):
        prompt = engine.tokenizer.render_chat([Message("user", text)])
        mine, other = alternate(
            functools.partial(run_ours, engine, prompt, options.max_tokens),
            functools.partial(peer.run, prompt, options.max_tokens),
            repeats,
        )
        common = _common(mine[0].ids, other[0].ids)
        if common < min(len(mine[0].ids), len(other[0].ids)):
            gap = peer.gap([*prompt, *mine[0].ids[:common]], mine[0].ids[common], other[0].ids[common])
            differences.append(f"prompt {number} parts at token {common}, {gap:.3g} apart in float32 logits")
        same += common
        compared += max(len(mine[0].ids), len(other[0].ids))
        ours += mine
        theirs += other
    name = f"transformers loop, {engine.weights.precision}"
    decode = [[len(run.ids) / run.decode_s for run in runs] for runs in (ours, theirs)]
    yield _row("ar_decode" + suffix, decode[0], decode[1], name)
    prefill = [[run.prompt_tokens / run.prefill_s for run in runs] for runs in (ours, theirs)]
    yield _row("ar_prefill" + suffix, prefill[0], prefill[1], name)
    total = [[len(run.ids) / (run.prefill_s + run.decode_s) for run in runs] for runs in (ours, theirs)]
    yield _row("ar_with_prefill" + suffix, total[0], total[1], name)
    note = "; ".join(differences) or "all the same"
    yield Row("ar_same_tokens" + suffix, same, "tokens", compared, same / compared, None, name, note)


def _row(name: str, ours: list[float], theirs: list[float], peer: str) -> Row:
    value, spread = summary(ours)
    beside, _ = summary(theirs)
    return Row(name, value, "tokens/s", beside, value / beside, spread, peer)


def _common(one: tuple[int, ...], two: tuple[int, ...]) -> int:
    size = min(len(one), len(two))
    return next((at for at in range(size) if one[at] != two[at]), size)


def run_ours(engine: Engine, prompt: list[int], max_tokens: int) -> Run:
    """One greedy answer of the engine, without what its cache kept from the last prompt."""
    engine.forget()
    result = complete(engine, GenerateRequest(prompt_ids=tuple(prompt), max_tokens=max_tokens, decode="ar"))
    return Run(result.token_ids, len(prompt), result.prefill_s, result.wall_s - result.prefill_s)


class Peer:
    """transformers' model of the same folder, decoding greedily with a DynamicCache."""

    def __init__(self, engine: Engine) -> None:
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()  # its bar of weights would run through our rows

        def read(dtype: torch.dtype) -> Any:
            model = AutoModelForCausalLM.from_pretrained(engine.folder, dtype=dtype)
            return model.to(engine.device).eval()

        self._device = engine.device
        self._ends = engine.tokenizer.eos_ids
        self._dtype = torch.float32 if engine.weights.precision == "fp32" else torch.bfloat16
        self._decoder = read(self._dtype)
        self._reader = read(torch.float32) if engine.weights.precision == "mixed" else self._decoder

    def run(self, prompt: list[int], max_tokens: int) -> Run:
        """Read all but the prompt's last token at once, then go token by token, as the engine does."""
        import torch
        from transformers import DynamicCache

        with torch.inference_mode(), warnings.catch_warnings():
            # `past_key_values` has a newer name, which the oldest supported transformers does not know.
            warnings.simplefilter("ignore", FutureWarning)
            begun = time.perf_counter()
            cache = DynamicCache()
            if len(prompt) > 1:
                self._reader(
                    torch.tensor([prompt[:-1]], device=self._device), past_key_values=cache, logits_to_keep=1
                )
            for layer in cache.layers:
                layer.keys, layer.values = layer.keys.to(self._dtype), layer.values.to(self._dtype)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            read = time.perf_counter()
            ids: list[int] = []
            token = prompt[-1]
            while len(ids) < max_tokens:
                logits = self._decoder(
                    torch.tensor([[token]], device=self._device), past_key_values=cache
                ).logits
                token = int(logits[0, -1].argmax())
                if token in self._ends:
                    break
                ids.append(token)
            done = time.perf_counter()
        return Run(tuple(ids), len(prompt), read - begun, done - read)

    def gap(self, ids: list[int], one: int, other: int) -> float:
        """How far apart the logits of two next tokens are after `ids`, with the finest weights at hand."""
        import torch

        with torch.inference_mode():
            logits_V = self._reader(torch.tensor([ids], device=self._device), logits_to_keep=1).logits[0, -1]
        return abs(float(logits_V[one]) - float(logits_V[other]))
