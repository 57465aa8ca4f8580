"""What a pass costs against its width: the curve that the planner of drafts lives on."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from model import floor
from model.bench import BenchOptions, Row, guarded, summary
from model.bench_rows.forward import decoding_pass
from model.engine import Engine
from model.fp8 import is_fp8
from model.graphs import capture
from model.load import load
from model.memory import shape_of
from model.runner import Runner

TITLE = (
    "ms of a pass of 1 to 512 tokens (on a CPU to 128), behind 256 cached tokens, beside its floor; --plot"
)
CONTEXT = 256
WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def draft_ms(runner: Runner, width: int, repeats: int) -> list[float]:
    """A draft block of `width` tokens with the output head for drafts, as a verified pass runs it."""
    cache = runner.cache(CONTEXT)
    runner.prefill(cache, [0] * CONTEXT)
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        part = runner.block([0] * width, [False] + [True] * (width - 1), CONTEXT, 1)
        runner.draft_vocab(runner.base.config.vocab).logits(runner.run(cache, [part])).argmax(-1).tolist()
        times.append((time.perf_counter() - begin) * 1e3)
    return times[1:]


@torch.inference_mode()
def pass_ms(runner: Runner, width: int, repeats: int) -> list[float]:
    """On a GPU the pass alone, as a graph with all its logits, by the device's clock; else a draft."""
    if runner.device.type == "cuda":
        from model.cuda import CudaRunner

        if isinstance(runner, CudaRunner):
            return floor.times_ms(
                capture(decoding_pass(runner, width, CONTEXT), runner.device), runner.device, repeats
            )
    return draft_ms(runner, width, repeats)


def floor_ms(engine: Engine) -> float | None:
    """ms to read the weights that a token needs, None where their number depends on the token or on what is
    FP8.
    """
    config = engine.weights.base.config
    if config.experts or is_fp8(engine.folder):
        return None
    weights = shape_of(engine.folder).parameters - (0 if config.tied else config.vocab * config.hidden)
    return weights * engine.weights.base.dtype.itemsize / floor.bandwidth(engine.device) * 1e3


def rows(options: BenchOptions) -> Iterator[Row]:
    engine = load(options.model, device=options.device, heads=options.heads)
    if not isinstance(engine, Engine):
        return
    least = floor_ms(engine)
    cuda = engine.device.type == "cuda"
    widest = 32 if options.quick else 512 if cuda else 128
    # A GPU's passes take milliseconds: as many as make the spread mean something.
    repeats = max(options.repeats, 20) if cuda else options.repeats
    found: dict[int, float] = {}
    for width in (w for w in WIDTHS if w <= widest):
        yield from guarded(
            f"pass of {width}", functools.partial(_row, engine.weights.runner, width, repeats, least, found)
        )
    if {8, 32} <= found.keys():
        ratio = found[32] / found[8]
        note = "goal 1.6"
        yield Row("pass of 32 beside 8", found[32], "ms", found[8], ratio, peer="pass of 8", note=note)
    if options.plot is not None and found:
        draw(found, least, f"{engine.name}, {engine.weights.precision}, {engine.device}", options.plot)


def _row(
    runner: Runner, width: int, repeats: int, least: float | None, found: dict[int, float]
) -> Iterator[Row]:
    value, spread = summary(pass_ms(runner, width, repeats))
    found[width] = value
    note = f"{value / found.get(1, value):.2f} times a pass of 1"
    ratio = None if least is None else value / least
    peer = "" if least is None else "floor"
    yield Row(f"pass of {width}", value, "ms", least, ratio, spread, peer, note)


def draw(ms: Mapping[int, float], least: float | None, title: str, out: Path) -> None:
    """A PNG of ms against width, both logarithmic, and the floor."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4.5), constrained_layout=True)
    widths = sorted(ms)
    axis.plot(widths, [ms[width] for width in widths], marker="o", label="a pass")
    if least is not None:
        axis.axhline(least, linestyle="--", color="grey", label=f"floor: weights read once, {least:.2f} ms")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_xticks(widths, [str(width) for width in widths])
    axis.set_xlabel("tokens of the pass")
    axis.set_ylabel("ms")
    axis.set_title(title)
    axis.grid(alpha=0.3, which="both")
    axis.legend()
    figure.savefig(out, dpi=130)
    pyplot.close(figure)
