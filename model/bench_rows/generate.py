"""`ar` beside another library's own greedy generation of the same prompts: transformers here; the groups
`compiled` and `vllm` do the same beside theirs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from model.bench import BenchOptions, Row, alternate, summary
from model.bench_rows.ar import PROMPTS
from model.engine import Engine
from model.load import load
from model.request import GenerateRequest, Generation, Message, Model, complete

TITLE = "ar beside transformers' generate, eager: tokens/s after the prompt and with it"


def rows(options: BenchOptions) -> Iterator[Row]:
    from model.backends.transformers import TransformersModel

    yield from beside(
        options,
        "transformers generate",
        lambda engine: TransformersModel(engine.name, folder=engine.folder, device=str(engine.device)),
    )


def beside(
    options: BenchOptions, name: str, open_peer: Callable[[Engine], Model], prompts: int = 2
) -> Iterator[Row]:
    """The engine without heads, and a peer that reports its first token as part of its prompt's time."""
    engine = load(options.model, device=options.device, heads="none")
    if not isinstance(engine, Engine):
        return
    peer = open_peer(engine)
    name = f"{name}, {peer.info.precision}"
    ours: list[Generation] = []
    theirs: list[Generation] = []
    few = options.quick or engine.device.type == "cpu"
    for text in PROMPTS[: 1 if few else prompts]:
        request = GenerateRequest(
            messages=(Message("user", text),), max_tokens=max(2, options.max_tokens), decode="ar"
        )
        mine, other = alternate(
            functools.partial(_answer, engine, request),
            functools.partial(complete, peer, request),
            options.repeats,
        )
        ours += mine
        theirs += other
    after = [result.tokens / (result.wall_s - result.prefill_s) for result in ours]
    yield _row("ar", after, [(r.tokens - 1) / (r.wall_s - r.prefill_s) for r in theirs], name)
    total = [[result.tokens / result.wall_s for result in results] for results in (ours, theirs)]
    yield _row("ar with its prompt", total[0], total[1], name)
    same = sum(one.token_ids == two.token_ids for one, two in zip(ours, theirs, strict=True))
    yield Row("the same answer", same, "runs", len(ours), same / len(ours), None, name)


def _answer(engine: Engine, request: GenerateRequest) -> Generation:
    engine.forget()
    return complete(engine, request)


def _row(name: str, ours: list[float], theirs: list[float], peer: str) -> Row:
    value, spread = summary(ours)
    other, others = summary(theirs)
    note = f"{1e3 / value:.2f} ms a token beside {1e3 / other:.2f} (spread {100 * others:.0f} %)"
    return Row(name, value, "tokens/s", other, value / other, spread, peer, note)
