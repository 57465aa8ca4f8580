"""`agent run TASK.md`: the loop on one task, shown to a person or to a machine."""

from __future__ import annotations

import signal
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli import DECODES
from verify.commandline import Number

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from agent.events import Event
    from agent.output import Output


@click.command("run", short_help="Work on a task file until its tests pass.")
@click.argument("task_file", metavar="TASK.md", type=click.Path(path_type=Path))
@click.option(
    "--model", help="Model name, folder, .gguf or scripted:FILE. [default: the task's, else the default]"
)
@click.option("--decode", type=click.Choice(DECODES), help="How tokens are made.  [default: auto]")
@click.option("--max-steps", type=click.IntRange(1), help="Model calls at most.  [default: 12]")
@click.option("--max-repairs", type=click.IntRange(0), help="Repairs after the first answer.  [default: 3]")
@click.option(
    "--max-tokens", type=click.IntRange(1), help="Generated tokens of the whole run.  [default: 4096]"
)
@click.option("--timeout", type=Number(0, min_open=True), help="Seconds of the whole run.  [default: 600]")
@click.option("--seed", type=int, help="Seed of sampled answers.  [default: 0]")
@click.option("--test-cmd", help="Command that must succeed (no shell); replaces the task's test_cmd.")
@click.option(
    "--workdir", type=click.Path(path_type=Path), help="Folder to work on.  [default: the task's own]"
)
@click.option(
    "--output", type=click.Choice(["text", "json", "stream-json"]), default="text", show_default=True
)
@click.option(
    "--keep",
    is_flag=True,
    default=None,
    help="Leave the files as the last attempt wrote them when the task fails.",
)
@click.option("--plan/--no-plan", default=None, help="Ask for a short plan first.  [default: plan]")
def run_command(
    task_file: Path, model: str | None, workdir: Path | None, test_cmd: str | None, output: str, **flags: Any
) -> int:
    """Work on TASK.md until its tests pass, repair what fails, and check once more in a fresh sandbox.

    \b
    TASK.md is Markdown with optional front matter; the keys are
      files, tests, test_cmd, cases, entry, model, limits    (see docs/agent.md)
    Files are put back as they were when the task is not solved, unless --keep.

    \b
    Exit codes: 0 solved, 1 tests fail, 2 usage, 3 limit reached,
    4 model or format failure, 5 sandbox failure, 130 interrupted.
    """
    from agent.text_output import open_output

    out = open_output(output)
    cancel = threading.Event()
    events = _events(out, task_file, model, workdir, test_cmd, flags, cancel)
    # Closed at once when this thread is interrupted: closing is what puts the files back.
    with out.reporting_errors(), closing(events):
        for event in events:
            try:
                out.show(event)
            except BrokenPipeError:  # nobody reads any more: end the run, and its record, in order
                out.mute()
                cancel.set()
    return out.exit_code


def _events(
    out: Output,
    task_file: Path,
    model: str | None,
    workdir: Path | None,
    test_cmd: str | None,
    flags: dict[str, Any],
    cancel: threading.Event,
) -> Generator[Event, None, None]:
    from agent import session
    from agent.loop import run
    from agent.options import Options
    from agent.task import load_task
    from agent.trajectory import recorded
    from model.load import load
    from verify.checker import open_checker

    task = load_task(task_file, workdir=workdir, test_cmd=test_cmd)
    with out.busy("loading the model"):
        loaded = load(model if model is not None else task.model or "default")
    record = session.create()
    session.save_call(record, task_file, model, workdir, test_cmd, flags)
    options = Options.merge(task.limits, session=record, **flags)
    with open_checker() as checker, _interrupts(cancel):
        yield from recorded(run(task, loaded, checker, options, cancel), record)


@contextmanager
def _interrupts(cancel: threading.Event) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) ends the run in order; the second one ends it where it stands."""

    def handler(number: int, frame: object) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
