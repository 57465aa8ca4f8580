"""`model restore`: the edit stage, measured on damaged answers."""

from __future__ import annotations

import json
from pathlib import Path

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
    limit: int,
    seed: int,
    as_json: bool,
) -> None:
    """Replace some tokens of the answers in SAMPLES and let HEADS rewrite them: how many answers are whole
    again, how many replaced tokens are right, how many others were left alone."""
    from model.data.samples import Samples
    from model.fullmemory import told
    from model.train.load import load_forward, place
    from model.train.restore import restore

    found = {}
    with told(place()):
        forward = load_forward(heads, base)
        for path in samples:
            loaded = Samples.load(path)
            loaded.items = loaded.items[: limit or None]
            for least in confidence:
                figures = restore(forward, loaded, block=block, confidence=least, share=share, seed=seed)
                found[f"{path.stem} / {least}"] = figures
                if figures and not as_json:
                    click.echo(
                        f"{path.stem}, confidence {least}: {figures['exact']:.1%} of {figures['answers']} "
                        f"answers whole again, {figures['restored']:.1%} of the replaced tokens restored, "
                        f"{figures['kept']:.2%} of the others kept"
                    )
    if as_json:
        click.echo(json.dumps({"restore": found}))
