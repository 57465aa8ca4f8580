"""`model data`: build prompts out of packages or of HumanEval, encode them, let the base answer them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click


@click.group()
def data() -> None:
    """Training data: prompts out of packages, encoded, answered by the base."""


@data.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write."
)
@click.option("--held-out", multiple=True, metavar="PACKAGE", help="Keep this package apart (repeatable).")
@click.option(
    "--against",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON-lines benchmark to keep out, beside HumanEval (repeatable).",
)
@click.option("--forms", default=1, show_default=True, help="Different prompts made of each function.")
@click.option("--per-package", default=1500, show_default=True, help="Functions of one package at most.")
@click.option("--licence", default="", help="Licence of sources that are plain folders, e.g. MIT.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def build(
    sources: tuple[Path, ...],
    out: Path,
    held_out: tuple[str, ...],
    against: tuple[Path, ...],
    forms: int,
    per_package: int,
    licence: str,
    seed: int,
    as_json: bool,
) -> None:
    """Make prompts of the documented functions in SOURCES (wheels, sdists, folders, or folders of wheels).

    Writes train.jsonl.gz, held-out.jsonl.gz and a data card. Only permissively licensed code is used; near
    duplicates and benchmark tasks are dropped.
    """
    from rich.console import Console

    from model.data.build import BuildConfig, build

    config = BuildConfig(
        seed=seed,
        forms=forms,
        per_package=per_package,
        held_out=tuple(name.lower() for name in held_out),
        benchmarks=against,
        folder_licence=licence,
    )
    console = Console(stderr=True)
    with console.status("reading packages") as status:
        report = build(
            _archives(sources), out, config, lambda name, count: status.update(f"{name}: {count} prompts")
        )
    counts = {"train": report.train, "held_out": report.held_out, "dropped": dict(report.dropped)}
    if as_json:
        click.echo(json.dumps(counts))
    else:
        click.echo(
            f"{report.train} prompts to train on, {report.held_out} held out; data card: {out / 'card.md'}"
        )


def _archives(sources: tuple[Path, ...]) -> list[Path]:
    """Folders that hold wheels or sdists stand for those."""
    found: list[Path] = []
    for source in sources:
        inside = sorted([*source.glob("*.whl"), *source.glob("*.tar.gz")]) if source.is_dir() else []
        found += inside or [source]
    return found


@data.command()
@click.argument("rows", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Sample file (.npz)."
)
@click.option(
    "--base", default="qwen2.5-coder-0.5b", show_default=True, help="Whose tokenizer and chat template."
)
@click.option("--max-prompt", default=320, show_default=True, help="Tokens; longer prompts are dropped.")
def encode(rows: tuple[Path, ...], out: Path, base: str, max_prompt: int) -> None:
    """Turn prompt rows (JSON lines) into token samples."""
    from itertools import chain

    from model import store
    from model.data.build import read_rows
    from model.data.encode import encode
    from model.tokenizer import Tokenizer

    samples = encode(chain.from_iterable(map(read_rows, rows)), Tokenizer(store.resolve(base)), max_prompt)
    samples.save(out)
    click.echo(
        f"{len(samples)} samples, {samples.meta['too_long']} longer than {max_prompt} tokens dropped: {out}"
    )


@data.command()
@click.option(
    "-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write."
)
@click.option(
    "--base", default="qwen2.5-coder-0.5b", show_default=True, help="Whose tokenizer and chat template."
)
def humaneval(out: Path, base: str) -> None:
    """Write HumanEval's prompts as he-chat.npz, he-evalplus.npz and he-raw.npz, to be answered and measured
    on (never to be trained on)."""
    from model import store
    from model.data.evaluation import humaneval_prompts
    from model.tokenizer import Tokenizer

    out.mkdir(parents=True, exist_ok=True)
    for form, samples in humaneval_prompts(Tokenizer(store.resolve(base))).items():
        samples.save(out / f"{form}.npz")
        click.echo(f"{len(samples)} prompts: {out / form}.npz")


@data.command()
@click.argument("answers", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON lines to write."
)
@click.option("--base", default="qwen2.5-coder-0.5b", show_default=True, help="Whose tokenizer.")
def text(answers: Path, out: Path, base: str) -> None:
    """Write answers to HumanEval's prompts as text, which `evals score` judges."""
    from model import store
    from model.data.evaluation import humaneval_answers
    from model.data.samples import Samples
    from model.tokenizer import Tokenizer

    rows = list(humaneval_answers(Samples.load(answers), Tokenizer(store.resolve(base))))
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    click.echo(f"{len(rows)} answers: {out}")


@data.command()
@click.argument("prompts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Sample file (.npz)."
)
@click.option("--base", default="qwen2.5-coder-0.5b", show_default=True)
@click.option(
    "--heads",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Answer with the AR head of these heads.",
)
@click.option("--max-tokens", default=256, show_default=True, help="Length at which an answer is cut.")
@click.option("--temperature", default=0.7, show_default=True, help="Of the sampled share.")
@click.option(
    "--greedy-share", default=0.5, show_default=True, help="Share of the prompts answered greedily."
)
@click.option("--skip", default=0, help="Leave out so many prompts at the beginning.")
@click.option("--limit", default=0, help="Answer so many prompts only (0: all).")
@click.option("--seconds", default=0.0, help="Stop after so long and keep what is done (0: no limit).")
@click.option("--slots", default=0, help="Answers under way at once (0: 1024 on a GPU, 8 without).")
@click.option(
    "--compile/--no-compile", "compiled", default=None, help="torch.compile the step (default: on a GPU)."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def answer(
    prompts: Path,
    out: Path,
    base: str,
    heads: Path | None,
    max_tokens: int,
    temperature: float,
    greedy_share: float,
    skip: int,
    limit: int,
    seconds: float,
    slots: int,
    compiled: bool | None,
    seed: int,
    as_json: bool,
) -> None:
    """Let the base, or the AR head of --heads, answer PROMPTS, in bulk. Interrupted or out of time, it keeps
    the answers that are done."""
    import torch
    from rich.progress import Progress

    from model import store
    from model.checkpoint import base_sha256
    from model.data.answer_file import answer_samples
    from model.data.answers import Answerer
    from model.data.packages import DataError
    from model.data.samples import Samples
    from model.fullmemory import told
    from model.train.load import load_speaker, place

    asked = Samples.load(prompts)
    asked.items = asked.items[skip : skip + limit if limit else None]
    if not asked.items:
        raise DataError(f"{prompts} has no prompt left after --skip {skip}; lower it")
    cuda = torch.cuda.is_available()
    slots = slots or (1024 if cuda else 8)
    with told(place(), f"--slots (now {slots}) or --max-tokens"), Progress(disable=as_json) as progress:
        task = progress.add_task("answering", total=len(asked))
        model, head = load_speaker(base, heads)
        answerer = Answerer(
            model,
            model.config.eos,
            slots=slots,
            max_tokens=max_tokens,
            max_prompt=max((len(s.prompt) for s in asked), default=1),
            seed=seed,
            compiled=cuda if compiled is None else compiled,
            head=head,
        )
        started = time.monotonic()
        answered = answer_samples(
            answerer,
            asked,
            temperature=temperature,
            greedy_share=greedy_share,
            seconds=seconds,
            seed=seed,
            on_answer=lambda count: progress.update(task, completed=count),
        )
    answered.meta |= {"base": base_sha256(store.resolve(base)), "max_tokens": max_tokens}
    answered.save(out)
    took = time.monotonic() - started
    counts = {
        "answers": len(answered),
        "tokens": answered.answer_tokens,
        "seconds": round(took, 1),
        "tokens_per_s": round(answered.answer_tokens / took),
    }
    click.echo(
        json.dumps(counts) if as_json else f"{counts['answers']} answers, {counts['tokens']} tokens: {out}"
    )
