"""`model acceptance`: how many draft tokens the base would accept, measured on its own greedy answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

POSITIONS = (1, 2, 3, 4, 6, 8, 12, 15, 24, 31)


@click.command()
@click.argument("heads", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument(
    "samples", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--base", default="qwen2.5-coder-0.5b", show_default=True)
@click.option(
    "--block",
    multiple=True,
    type=int,
    default=(16, 32),
    show_default=True,
    help="Tokens a block (repeatable).",
)
@click.option("--limit", default=0, help="Samples of each file at most (0: all).")
@click.option(
    "--shapes",
    is_flag=True,
    help="Replay whole steps too: tokens a step of each shape, tokens/s by the times in model/shapes.py.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def acceptance(
    heads: Path,
    samples: tuple[Path, ...],
    base: str,
    block: tuple[int, ...],
    limit: int,
    shapes: bool,
    as_json: bool,
) -> None:
    """Replay verified decoding of SAMPLES (greedy answers of the base) with HEADS: tokens per forward,
    copied and new text apart, and acceptance by position, with siblings and copies, beside prompt lookup
    without a model."""
    from rich.console import Console
    from rich.table import Table

    from model.data.samples import Samples
    from model.fullmemory import told
    from model.heads import read_record
    from model.shapes import LONGEST, UNMEASURED
    from model.train.acceptance import Acceptance, summary
    from model.train.lengths import length_figures
    from model.train.load import load_forward, place
    from model.train.replay import shape_figures

    if shapes and max(block) <= LONGEST:
        raise click.UsageError(
            f"--shapes needs a --block of {LONGEST + 1} or more: the longest shape has so many"
        )
    results: dict[str, dict[str, Any]] = {}
    lengths: dict[str, dict[str, Any]] = {}
    steps: dict[str, dict[str, dict[str, float]]] = {}
    with told(place()):
        forward = load_forward(heads, base)
        trivial = read_record(heads)["training"].get("answer_median")
        for path in samples:
            loaded = Samples.load(path)
            loaded.items = loaded.items[: limit or None]
            marks = []
            for size in block:
                done = Acceptance(forward, size).marks(loaded)
                marks.append([found for _, found in done])
                results[f"{path.stem} / {size}"] = summary([sample for sample, _ in done], marks[-1], size)
            if shapes:
                steps[path.stem] = shape_figures([sample for sample, _ in done], marks, UNMEASURED)
            lengths[path.stem] = length_figures(forward, loaded, trivial)
    if as_json:
        click.echo(json.dumps({"acceptance": results, "shapes": steps, "length": lengths}))
        return
    table = Table(
        "samples / block", "drafts", "accepted from 0", "from 1", "TPF", "copied", "new", "copied share"
    )
    positions = Table("right at position, given those before", *map(str, POSITIONS))
    for name, found in results.items():
        accepted = [found["accepted_refined_from_0"], found["accepted_refined_from_1"]]
        for kind, first, key in (("heads", accepted, "refined"), ("lookup", ["", ""], "lookup")):
            tpf = found[f"tpf_{key}"]
            cells = [*first, tpf["all"], tpf["copied"], tpf["new"], found["copied_share"]]
            table.add_row(name, kind, *map(str, cells))
            for row, tpf in _more(found) if kind == "heads" else ():
                more = [tpf["all"], tpf["copied"], tpf["new"], found["copied_share"]]
                table.add_row(name, row, "", "", *map(str, more))
            right = found["by_position" if kind == "heads" else "lookup_by_position"]
            shown = [f"{right[at - 1]:.2f}" if at <= len(right) else "" for at in POSITIONS]
            positions.add_row(f"{name} {kind}", *shown)
    console = Console()
    console.print(table)
    console.print(positions)
    if steps:
        console.print(_by_shape(steps))
    for name, found in lengths.items():
        if found:
            console.print(
                f"length, {name}: median relative error {found['median_relative_error']:.2f} "
                f"(always the median: {found['trivial_median_relative_error']:.2f}), "
                f"{found['canvas_grew']:.0%} of canvases grow"
            )


def _more(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """What siblings and copies make of the heads' drafts."""
    for with_copies, key in (("", "tpf_siblings"), ("copies", "tpf_copies")):
        for count, tpf in found[key].items():
            siblings = f"{count} sibling{'s' * (count > 1)}" if count else ""
            yield "+ " + ", ".join(filter(None, (with_copies, siblings))), tpf


def _by_shape(steps: dict[str, dict[str, dict[str, float]]]) -> Table:
    from rich.table import Table

    table = Table("samples", "steps of", "tokens a step", "tokens/s", "with copies", "tokens/s")
    for name, found in steps.items():
        for shape, figures in found.items():
            cells = [
                f"{figures[f'tokens_a_{per}{how}']:{form}}"
                for how in ("", "_with_copies")
                for per, form in (("step", ".2f"), ("second", ",.0f"))
            ]
            table.add_row(name, shape, *cells)
    return table
