"""Progress bars of the long commands, on standard error."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_SAYS = {
    "hub": "fetching from the hub",
    "mirror": "fetching from the mirror",
    "check": "checking sha256",
    "convert": "converting to bf16",
    "copy": "linking files",
    "quantize": "writing FP8",
    "perplexity": "measuring perplexity",
}


class StageBars:
    """A bar for each stage of a pull. quiet: none, for machines; so is standard error that is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> StageBars:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def report(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(_SAYS.get(stage, stage), total=total)
        self._bars.update(self._tasks[stage], completed=done, total=total)

    def stage(self, stage: str) -> Callable[[int, int], None]:
        """`report` for one stage."""
        return lambda done, total: self.report(stage, done, total)

    def note(self, text: str) -> None:
        """One line to read, above the bars."""
        if self._bars.disable:
            click.echo(text, err=True)
        else:
            self._console.print(text, markup=False, highlight=False)
