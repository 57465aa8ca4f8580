"""The inference flow of free `diffusion`: AR scaffold, length, partition, infill. And `explain`, which shows
the passes of any decoder.

model generate --explain --decode diffusion --commit prefix --prompt "..."
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model import ar, diffusion
from model.kvcache import KVCache
from model.request import GenerateRequest, Model, Step
from model.rules import Rules
from model.runner import Runner
from model.session import Session
from model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from rich.console import Console

SCAFFOLD = 24
"""Tokens of the scaffold at most."""
QUANTILE = 0.9
"""The canvas holds the answer with this probability, says the length head."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the flow works with, besides the cache. limit: token ids from here on are never written."""

    runner: Runner
    tokenizer: Tokenizer
    limit: int


def decode(parts: Parts, cache: KVCache, session: Session, rules: Rules) -> Iterator[Step]:
    """One answer, from a cache that holds the prompt without its last token.

    The AR head writes the scaffold: the opening of the answer up to the first line that begins a suite,
    such as a signature. The length head, asked once after the prompt, says how long the answer will be. The
    rest of that canvas is partitioned into blocks of `rules.block`, and the diffusion head fills them from
    left to right, `rules.flight` at a time, each in as few passes as its confidence allows. When the canvas
    is full and the answer has not ended, it grows by a block. All heads read and extend one cache.
    """
    runner = parts.runner

    # 1. Length: one query token after the prompt, in a pass of its own; it leaves no trace in the cache.
    canvas = session.request.max_tokens
    length = None if runner.heads is None else runner.heads.length
    if length is not None:
        canvas = min(canvas, length.quantile(runner.ask_length(cache, session.prompt), QUANTILE))
        yield session.step(masked=canvas, head="length")

    # 2. Scaffold: the AR head, token by token.
    wanted = int(session.request.extra.get("scaffold", SCAFFOLD))
    for step in ar.decode(runner, cache, session) if wanted else ():
        yield step
        if session.done:
            return
        if len(session.ids) >= wanted or _opens_a_suite(session.shown):
            break

    # 3. Partition and 4. infill: blocks of masks behind what is committed, until an end token or the limit.
    yield from diffusion.decode(
        runner, cache, session, parts.tokenizer, rules, max(canvas, len(session.ids) + 1), parts.limit
    )


def _opens_a_suite(text: str) -> bool:
    """Has a line just ended that begins an indented suite?"""
    lines = text.split("\n")
    return len(lines) > 1 and not lines[-1].strip() and lines[-2].rstrip().endswith(":")


COLOURS = {"ar": "cyan", "diffusion": "green", "length": "magenta"}


def explain(model: Model, request: GenerateRequest, console: Console | None = None) -> None:
    """Print an answer as it is made: one line a pass, coloured by the head that decided, then the text."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    from model.safetext import printable

    out = console or RichConsole()
    key = Text("heads: ")
    for head, colour in COLOURS.items():
        key.append(f"{head} ", style=colour)
    out.print(key)
    answer = Text()
    for step in model.generate(request):
        colour = COLOURS.get(step.head, "white")
        line = Text(f"{step.index:4d} {step.ms:7.1f} ms  ")
        line.append(f"{step.head:9s}", style=colour)
        if step.head == "length":
            line.append(f" canvas of {step.masked} tokens")
        for what, tokens in (("commits", step.committed), ("shows", step.draft), ("rewrites", step.revised)):
            if tokens:
                line.append(f" {what} ")
                shown = " ".join(f"{t.position}:{t.text!r}" for t in tokens[:12])
                line.append(printable(shown), style=colour)
                line.append(f" (+{len(tokens) - 12})" if len(tokens) > 12 else "")
        if step.masked and step.head != "length":
            line.append(f" | {step.masked} masked", style="dim")
        out.print(line, soft_wrap=True)
        answer.append(printable(step.text), style=colour)
        if step.result is not None:
            done = step.result
            out.print(answer)
            out.print(
                f"{done.tokens} tokens, {done.forwards} passes, {done.tokens_per_forward:.2f} tokens a pass, "
                f"{done.wall_s:.2f} s, {done.finish_reason}"
            )
