"""`evals bench`: scoring speed beside stock evalplus, or decoders beside each other, in one run."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import click


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--benchmark",
    "name",
    help="Default: humaneval+; with --decoders humaneval.",
)
@click.option("--data", type=click.Path(path_type=Path), help="The benchmark's data file.")
@click.option(
    "--samples", type=click.Path(path_type=Path), help="Samples to judge; default: the reference solutions."
)
@click.option("--repeat", default=5, show_default=True, type=click.IntRange(1, 50))
@click.option("--jobs", type=click.IntRange(1, 64), help="Processes on both sides; default: the cores.")
@click.option("--peer/--no-peer", default=True, show_default=True, help="Also measure stock evalplus.")
@click.option(
    "--decoders",
    metavar="NAMES",
    help="Measure these end to end instead, e.g. ar,verified,diffusion,lookup,transformers,vllm; "
    "`all`: those that can run here.",
)
@click.option("--model", default="default", show_default=True, help="With --decoders: the base.")
@click.option("--heads", default="", help="With --decoders: folder of trained heads.")
@click.option("--device", default="", help="With --decoders: auto, cpu, cuda, cuda:1.")
@click.option("--temperature", multiple=True, type=float, default=(0.0, 0.7), show_default=True)
@click.option("--limit", type=int, help="With --decoders: only the first so many tasks.")
@click.option("--max-tokens", type=int, help="With --decoders: new tokens an answer.")
@click.option("--out", type=click.Path(path_type=Path), help="With --decoders: folder of the run folders.")
@click.option("--resume", is_flag=True, help="With --decoders: go on with the bench in --out.")
@click.option("--no-score", is_flag=True, help="With --decoders: no verdicts; the same with --resume judges.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON line a row: name, value, unit, beside, ratio, spread."
)
def bench(
    name: str | None,
    data: Path | None,
    samples: Path | None,
    repeat: int,
    jobs: int | None,
    peer: bool,
    decoders: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Seconds to judge one sample of every task, warm (expected outputs known), median of --repeat.

    Ours and stock evalplus alternate, each after one run that is not counted, with equal numbers of
    processes.

    With --decoders: tokens/s (reading the prompt included), tokens per forward and pass@1 of decoders on chat
    prompts, batch 1, task by task in turn, one sample a task and --temperature; answers are judged when all
    are there. Value: median of the tasks [5th, 95th percentile]; ratio: median of a task's tokens/s over
    those of ar; same: answers equal to ar's. A killed bench goes on with --resume.
    """
    if decoders is not None:
        _bench_decoders(decoders, name or "humaneval", data, jobs, as_json, **options)
        return
    from evals.benchmark import open_benchmark
    from evals.benchmarks.evalplus import EvalPlusBenchmark
    from evals.errors import UsageError
    from evals.run import default_jobs
    from evals.sample import Sample, read_samples
    from evals.scoring_bench import measure

    name = name or "humaneval+"
    benchmark = open_benchmark(name, data)
    if not isinstance(benchmark, EvalPlusBenchmark):
        raise UsageError(f"{name} is no benchmark of evalplus")
    if samples is None:
        given = [Sample(task.id, 0, task.reference) for task in benchmark.tasks.values()]
    else:
        given, _, _ = read_samples(samples, benchmark, partial=True)
    rows = measure(benchmark, given, repeat=repeat, jobs=jobs or default_jobs(), peer=peer)
    for row in rows:
        click.echo(json.dumps(row) if as_json else _line(row))
    if not as_json:
        click.echo(
            f"{platform.platform()}, Python {platform.python_version()}, {jobs or default_jobs()} processes"
        )


def _bench_decoders(
    decoders: str,
    name: str,
    data: Path | None,
    jobs: int | None,
    as_json: bool,
    *,
    temperature: tuple[float, ...],
    out: Path | None,
    resume: bool,
    no_score: bool,
    **options: Any,
) -> None:
    from evals.benchmark import open_benchmark
    from evals.commands.run import default_out, warn
    from evals.decoder_bench import generate, judge, open_contenders, write_rows
    from evals.errors import UsageError
    from evals.report.progress import display
    from evals.settings import Settings

    if resume and out is None:
        raise UsageError("--resume needs --out: the folder of the bench to go on with")
    benchmark = open_benchmark(name, data)
    root = out or default_out((name, "decoders"), options["model"])
    base = Settings(benchmark=name, **options)
    names = [part.strip() for part in decoders.split(",") if part.strip()]
    with display(f"{benchmark.title}, decoders", quiet=as_json, judged=False) as (listener, on_step):
        contenders = open_contenders(benchmark, base, names, temperature, root, warn=warn, on_step=on_step)
        if not contenders:
            raise UsageError("--decoders: name at least one decoder, and at least one --temperature")
        generate(benchmark, contenders, resume=resume, listener=listener)
    rows = list(judge(benchmark, contenders, jobs=jobs, score=not no_score))
    write_rows(root, rows)
    for row in rows:
        click.echo(json.dumps(row) if as_json else _decoder_line(row))
    if not as_json:
        model = contenders[0].source.model.info
        click.echo(f"{model.name}, {model.device}, {model.precision}, {platform.platform()}; runs in {root}")


def _decoder_line(row: dict[str, Any]) -> str:
    low, high = row["spread"]
    text = f"{row['name']:20} {row['value']:>8} tokens/s [{low}, {high}]"
    if row["ratio"] is not None:
        text += f"  {row['ratio']:.2f} x ar, same {row['same_as_ar']}/{row['tasks']}"
    text += f"  {row['tpf']:.2f} tokens/forward"
    if row["pass_at_1"] is not None:
        low, high = row["ci95"]
        text += f"  pass@1 {100 * row['pass_at_1']:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    return text


def _line(row: dict[str, Any]) -> str:
    text = f"{row['name']:28} {row['value']:>9} {row['unit']}"
    if row["spread"]:
        text += f"  [{row['spread'][0]}, {row['spread'][1]}]"
    if row["beside"] is not None:
        text += f"  stock evalplus {row['beside']} {row['unit']}, ratio {row['ratio']}"
    return text
