"""`model restore`: the edit stage, measured on damaged answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from model.commandline import Number


@click.command()
@click.argument("heads", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument(
    "samples", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--base", default="qwen2.5-coder-0.5b", show_default=True)
@click.option("--block", default=32, show_default=True, type=click.IntRange(2, 128), help="Tokens a block.")
@click.option(
    "--confidence",
    multiple=True,
    type=Number(0, 1),
    default=(0.5, 0.9),
    show_default=True,
    help="From which a shown token is rewritten (repeatable).",
)
@click.option("--share", default=0.05, show_default=True, type=Number(0, 1), help="Tokens replaced.")
@click.option("--judged", is_flag=True, help="Let the AR head judge each rewriting (model.mend).")
@click.option("--limit", default=0, help="Samples of each file at most (0: all).")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def restore(
    heads: Path,
    samples: tuple[Path, ...],
    base: str,
    block: int,
    confidence: tuple[float, ...],
    share: float,
    judged: bool,
    limit: int,
    seed: int,
    as_json: bool,
) -> None:
    """Replace some tokens of the answers in SAMPLES and let HEADS rewrite them: how many answers are whole
    again, how many replaced tokens are right, how many others were left alone."""
    from model.data.samples import Samples
    from model.fullmemory import told
    from model.train.load import place

    found = {}
    with told(place()):
        measured = _judged(heads, base, block) if judged else _alone(heads, base, block, confidence)
        for path in samples:
            loaded = Samples.load(path)
            loaded.items = loaded.items[: limit or None]
            for name, measure in measured.items():
                figures = measure(loaded, share=share, seed=seed)
                found[f"{path.stem} / {name}"] = figures
                if figures and not as_json:
                    click.echo(
                        f"{path.stem}, {name}: {figures['exact']:.1%} of {figures['answers']} "
                        f"answers whole again, {figures['restored']:.1%} of the replaced tokens restored, "
                        f"{figures['kept']:.2%} of the others kept"
                    )
    if as_json:
        click.echo(json.dumps({"restore": found}))


Measure = Callable[..., dict[str, Any]]


def _alone(heads: Path, base: str, block: int, confidence: Sequence[float]) -> dict[str, Measure]:
    from model.train.load import load_forward
    from model.train.restore import restore

    forward = load_forward(heads, base)
    return {str(least): partial(restore, forward, block=block, confidence=least) for least in confidence}


def _judged(heads: Path, base: str, block: int) -> dict[str, Measure]:
    from model.engine import Engine
    from model.errors import RequestError
    from model.load import load
    from model.train.restore import restore_judged

    engine = load(base, heads=str(heads))
    if not isinstance(engine, Engine) or not engine.drafts:
        raise RequestError(f"--judged needs a diffusion head, and {heads} has none: leave --judged out")
    engine.weights.mount()
    runner, limit = engine.weights.wide, engine.decoders.draft_limit
    return {"judged": partial(restore_judged, runner, limit, block=block, on_answer=_count)}


def _count(done: int, of: int) -> None:
    """An answer takes seconds on a CPU."""
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {of} answers" + "\n" * (done == of), nl=False, err=True)
