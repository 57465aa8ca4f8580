"""Accuracy against parallelism as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evals.errors import UsageError
from evals.series import Series

_MARKS = {"ar": "s", "verified": "^", "lookup": "D"}


def draw(found: Sequence[Series], title: str, out: Path) -> None:
    """A line a series of `diffusion` with its thresholds and AUP, a point for each other run; bars are 95 %
    intervals. Raises UsageError without matplotlib.
    """
    try:
        import matplotlib
    except ImportError:
        raise UsageError("drawing needs matplotlib: pip install 'trihead[train]', or use --json") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(9, 5.5), constrained_layout=True)
    for one in found:
        x, y = [run.rho for run in one.runs], [run.accuracy for run in one.runs]
        bars = [
            [run.accuracy - run.low for run in one.runs],
            [run.high - run.accuracy for run in one.runs],
        ]
        label = f"{one.label} (AUP {one.area:.1f})" if one.area is not None else one.label
        mark = "o" if one.line else _MARKS.get(one.runs[0].settings["decode"], "P")
        style = "-" if one.line else ""
        drawn = axis.errorbar(
            x, y, bars, fmt=mark + style, label=label, capsize=2, elinewidth=0.6, linewidth=1.6, markersize=6
        )
        for run in one.runs if one.line else ():
            axis.annotate(
                run.mark,
                (run.rho, run.accuracy),
                xytext=(6, 6),
                textcoords="offset points",
                fontsize=8,
                color=drawn[0].get_color(),
            )
    axis.set_title(title)
    axis.set_xlabel("tokens per forward")
    axis.set_ylabel("pass@1, % (bars: 95 % interval)")
    axis.set_xlim(left=0)
    axis.set_ylim(-2, 102)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9, loc="lower left")
    figure.savefig(out, dpi=130)
    pyplot.close(figure)
