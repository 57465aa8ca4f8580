"""Accuracy against parallelism as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evals.errors import UsageError
from evals.series import Judged, Series

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

    widest = max(run.rho for one in found for run in one.runs)
    lines = 0  # labels of every other line go below its points
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
        above = lines % 2 == 0
        lines += one.line
        for rho, accuracy, text in labels(one.runs, widest) if one.line else ():
            axis.annotate(
                text,
                (rho, accuracy),
                xytext=(6, 6 if above else -13),
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


def labels(runs: Sequence[Judged], widest: float) -> list[tuple[float, float, str]]:
    """(tokens per forward, accuracy, text) of a line's labels: points that lie too close for one each share
    one. widest: the end of the x axis. runs: by parallelism.
    """
    groups: list[list[Judged]] = []
    for run in runs:
        first = groups[-1][0] if groups else None
        if first and run.rho - first.rho < 0.03 * widest and abs(run.accuracy - first.accuracy) < 4:
            groups[-1].append(run)
        else:
            groups.append([run])
    return [(g[0].rho, g[0].accuracy, ", ".join(dict.fromkeys(run.mark for run in g))) for g in groups]
