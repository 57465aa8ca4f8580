"""`agent tasks build`: tasks with tests out of docstring examples."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group("tasks", short_help="Build tasks with tests out of docstring examples.")
def tasks() -> None:
    """Tasks with tests, to roll out on and to compare heads with."""


@tasks.command("build")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write."
)
@click.option(
    "--held-out",
    multiple=True,
    metavar="UNIT",
    help="Keep this package, or FOLDER/SUBFOLDER, for evaluation (repeatable).  [default: about a quarter]",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON-lines benchmark to keep out, beside HumanEval (repeatable).",
)
@click.option("--licence", default="", help="Licence of sources that are plain folders, e.g. MIT.")
@click.option("--per-unit", type=click.IntRange(1), default=400, show_default=True)
@click.option("--backend", default="auto", help="Sandbox.  [default: auto]")
@click.option("--unsafe", is_flag=True, help="Allow the subprocess backend, which is no sandbox.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def build_command(
    sources: tuple[Path, ...],
    out: Path,
    held_out: tuple[str, ...],
    against: tuple[Path, ...],
    licence: str,
    per_unit: int,
    backend: str,
    unsafe: bool,
    as_json: bool,
) -> None:
    """Make tasks of the functions in SOURCES (wheels, sdists, folders, or folders of wheels) whose docstrings
    hold examples.

    Each task's own solution is run in the sandbox; only what passes twice is kept. Writes tasks.jsonl and
    card.md.
    """
    from rich.console import Console

    from agent.errors import FinetuneSandboxError, TaskError
    from agent.finetune.build import BuildConfig, build
    from model.errors import ModelError
    from verify.checker import open_checker

    config = BuildConfig(held_out=held_out, benchmarks=against, folder_licence=licence, per_unit=per_unit)
    try:
        with (
            open_checker(backend, unsafe=unsafe) as checker,
            Console(stderr=True).status("reading packages") as status,
        ):
            if not checker.probe.works:
                raise FinetuneSandboxError(f"the sandbox cannot run here: {checker.probe.why}")
            found = [inside for source in sources for inside in _archives(source)]
            report = build(
                found,
                out,
                config,
                checker,
                lambda name, count: status.update(f"{name}: {count} tasks so far"),
            )
    except (ModelError, ValueError) as error:
        raise TaskError(str(error)) from error
    counts = {
        "train": report.count("train"),
        "held_out": report.count("held-out"),
        "dropped": dict(report.dropped),
        "tasks": str(out / "tasks.jsonl"),
    }
    if as_json:
        click.echo(json.dumps(counts))
    else:
        click.echo(
            f"{counts['train']} tasks to train on, {counts['held_out']} held out: {counts['tasks']}; "
            f"data card: {out / 'card.md'}"
        )


def _archives(source: Path) -> list[Path]:
    """A folder that holds wheels or sdists stands for those."""
    inside = sorted([*source.glob("*.whl"), *source.glob("*.tar.gz")]) if source.is_dir() else []
    return inside or [source]
