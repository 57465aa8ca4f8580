"""`evals run NAME...`: generate, judge and count, resumable."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from evals.settings import Settings


@click.command(context_settings={"max_content_width": 110})
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--model",
    default="default",
    show_default=True,
    help="A model `model load` knows, or `canonical`: the reference solutions.",
)
@click.option("--heads", default="", help="Folder of trained heads; `none` for the bare base.")
@click.option("--decode", default="ar", show_default=True, help="ar, diffusion, verified, lookup or auto.")
@click.option("--block", type=int, help="Block size (diffusion, verified); width of lookup's passes.")
@click.option(
    "--threshold",
    type=float,
    help="diffusion: share of the AR head's best probability that lets a draft token stay; with --rule the "
    "confidence that commits it.",
)
@click.option(
    "--window",
    type=int,
    help="diffusion: so many draft tokens behind one that is kept so must be the AR head's own (default 3).",
)
@click.option(
    "--rule",
    default="",
    help="diffusion: run freely, without the AR head's judgement, and commit by threshold or entropy.",
)
@click.option("--n", default=1, show_default=True, help="Samples a task.")
@click.option("--temperature", default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", default=0.95, show_default=True, help="Nucleus, when sampling.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--max-tokens", type=int, help="New tokens an answer; default is the benchmark's (HumanEval: 768)."
)
@click.option("--limit", type=int, help="Only the first so many tasks.")
@click.option("--tasks", default="", help="Only these: numbers, ranges or ids, as 0-9,32.")
@click.option(
    "--sweep",
    multiple=True,
    metavar="NAME=V1,V2",
    help="Several settings in one run, e.g. threshold=0.5,0.7,0.9.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="The benchmark's data file (humaneval+, mbpp+)."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder; default is a new one in the data folder."
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out; on an empty folder, start.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Samples judged at once; default: the cores.")
@click.option("--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option(
    "--batch",
    type=click.IntRange(1, 4096),
    help="Answers decoded together (ar only); default: what suits a GPU, 1 on a CPU. Changes no answer.",
)
@click.option(
    "--no-score", is_flag=True, help="Only generate, without a sandbox; `evals score RUN` judges later."
)
@click.option("--device", default="", help="auto, cpu, cuda, cuda:1.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a run on stdout; no table, no bar.")
def run(
    names: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    sweep: tuple[str, ...],
    resume: bool,
    jobs: int | None,
    executor: str,
    batch: int | None,
    no_score: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run the benchmarks NAME... (see `evals list`) and write a run folder each.

    \b
    evals run humaneval --tasks 0-38
    evals run humaneval+ --data HumanEvalPlus.jsonl.gz --decode verified
    evals run humaneval --decode verified --sweep block=8,16,32
    """
    from evals.benchmark import open_benchmark
    from evals.errors import ModelFailureError, UsageError
    from evals.from_model import Models
    from evals.report.progress import display
    from evals.run import evaluate
    from evals.settings import Settings
    from evals.settings import sweep as expand
    from evals.source import open_source

    if resume and out is None:
        raise UsageError("--resume needs --out: the folder of the run to go on with")
    if data is not None and len(names) > 1:
        raise UsageError("--data is one file; run one benchmark at a time with it")
    if executor == "ray" and (no_score or batch):
        raise UsageError(f"--{'no-score' if no_score else 'batch'} is for --executor local")
    plans: list[tuple[str, Settings]] = []
    for name in names:
        base = Settings(benchmark=name, **options)
        plans += [
            ("/".join(filter(None, (name if len(names) > 1 else "", folder))), s)
            for folder, s in expand(base, sweep).items()
        ]
    benchmarks = {name: open_benchmark(name, data) for name in names}
    for notice in filter(None, (benchmark.notice() for benchmark in benchmarks.values())):
        warn(notice)
    root = out or default_out(names, options["model"])
    results, places = [], []
    models: Models = {}
    try:
        for folder, settings in plans:
            benchmark, place = benchmarks[settings.benchmark], root / folder if folder else root
            with display(benchmark.title, quiet=as_json, judged=not no_score) as (listener, on_step):
                if executor == "ray":
                    from evals.ray_executor import evaluate_ray

                    summary: dict[str, Any] = evaluate_ray(
                        benchmark,
                        settings,
                        place,
                        data=data,
                        resume=resume,
                        jobs=jobs,
                        listener=listener,
                        warn=warn,
                    )
                else:
                    source = open_source(benchmark, settings, on_step, models, batch, warn)
                    summary = evaluate(
                        benchmark,
                        settings,
                        place,
                        source=source,
                        resume=resume,
                        jobs=jobs,
                        listener=listener,
                        score=not no_score,
                    )
            _show(summary, place, as_json)
            places.append(place)
            results.append(summary)
    except (KeyboardInterrupt, ModelFailureError):
        if root.exists():  # else nothing was begun
            click.echo(f"run folder: {root} (the same command with --out {root} --resume goes on)", err=True)
        raise
    if sweep and not no_score:
        from evals.commands.curve import report_curves

        report_curves(root, places, as_json)
    return 5 if all(not summary["n_samples"] and summary["infra"] for summary in results) else 0


def warn(text: str) -> None:
    click.echo(f"warning: {text}", err=True)


def _show(summary: dict[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(json_line(summary, out)))
    else:
        from evals.report.table import print_summary

        print_summary(summary, out)


JSON_KEYS = ("dataset", "n_tasks", "pass_at_1", "ci95", "tokens", "forwards", "tpf", "tok_s", "wall_s")


def json_line(summary: dict[str, Any], out: Path) -> dict[str, Any]:
    """The documented keys first, then what else the summary knows."""
    first = {key: summary[key] for key in JSON_KEYS}
    rest = {key: value for key, value in summary.items() if key not in first}
    return {**first, "run_dir": str(out), **rest}


def default_out(names: tuple[str, ...], model: str) -> Path:
    from evals.home import evals_home

    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    label = "_".join((*names, model)).replace("/", "-").replace(":", "-")[:80]
    return evals_home() / "runs" / f"{stamp}-{label}"
