"""The event stream for a person (rich, plain in a pipe).

Texts of models and programs are shown without markup and without control sequences.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.status import Status
from rich.text import Text

from agent.checks import summary
from agent.events import (
    Decoded,
    Done,
    Edited,
    Event,
    FormatFailed,
    ModelAnswered,
    ModelCalled,
    Repairing,
    Restored,
    Scaffolded,
    Started,
    Verified,
)
from agent.output import JsonOutput, Output, StreamOutput
from agent.untrusted import clean, one_line, tail


def open_output(kind: str) -> Output:
    """kind: `text`, `json` or `stream-json`."""
    return {"text": TextOutput, "json": JsonOutput, "stream-json": StreamOutput}[kind]()


_TITLES = {"plan": "Plan", "scaffold": "Scaffold", "infill": "Code", "repair": "Repaired code"}
_OUTCOMES = {
    "solved": ("Solved", "bold green"),
    "failed": ("Not solved", "bold red"),
    "limit": ("Limit reached", "bold yellow"),
    "error": ("Error", "bold red"),
    "cancelled": ("Interrupted", "bold yellow"),
}


class _PipeConsole(Console):
    """A console whose reader may go away; rich's own would end the process and leave the run half done."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Notes(logging.Handler):
    def __init__(self, say: Callable[[str, str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say_line = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say_line(record.getMessage(), "yellow")


class TextOutput(Output):
    """For a person: the plan, the code as it comes, verdicts, repairs, and what to try next."""

    def __init__(self) -> None:
        super().__init__()
        self._console = _PipeConsole(highlight=False, markup=False, soft_wrap=True)
        self._status: Status | None = None
        self._line_open = False
        self._workdir = ""

    def print(self, event: Event) -> None:
        match event:
            case Started():
                self._workdir = event.workdir
                headline = one_line(event.task.partition("\n")[0], 100)
                self._say(f"{event.name}: {headline}", "bold")
                self._say(f"model {event.model}, decode {event.decode}, in {event.workdir}", "dim")
            case ModelCalled():
                self._say(f"\n{_TITLES[event.phase]}", "bold cyan")
                prefill = event.messages[-1].content if event.messages[-1].role == "assistant" else ""
                self._stream(prefill.partition("```python\n")[2] if "```" in prefill else prefill, "dim")
                self._wait("reading the prompt")
            case Decoded():
                if event.step.text:
                    self._rest()
                self._stream(event.step.text)
            case ModelAnswered():
                self._rest()
                self._end_line()
                answer = event.generation
                self._say(
                    f"{answer.tokens} tokens, {answer.forwards} forwards, {answer.wall_s:.1f} s"
                    + (", cut at the token limit" if answer.finish_reason == "length" else ""),
                    "dim",
                )
            case Scaffolded():
                if event.origin != "model":
                    self._say(f"\nScaffold (from the {event.origin})", "bold cyan")
                    self._say(event.text.rstrip(), "dim")
            case FormatFailed():
                self._say(
                    f"no usable code ({event.consecutive} in a row): {one_line(event.reason)}", "yellow"
                )
            case Edited():
                added = sum(
                    line.startswith("+") and not line.startswith("+++") for line in event.diff.splitlines()
                )
                removed = sum(
                    line.startswith("-") and not line.startswith("---") for line in event.diff.splitlines()
                )
                how = "wrote" if event.created else "changed"
                self._say(f"{how} {event.path} (+{added} -{removed})")
                self._wait("running the tests")
            case Verified():
                self._rest()
                verdict, where = event.verdict, " in a fresh sandbox" if event.fresh else ""
                self._say(f"tests{where}: {summary(verdict)}", "green" if verdict.ok else "red")
            case Repairing():
                self._say(f"\nRepair {event.attempt}", "bold cyan")
                self._say(tail(event.evidence, 20), "dim")
            case Restored():
                self._say(f"put back: {', '.join(event.paths)}", "dim")
            case Done():
                self._rest()
                self._done(event)

    def _done(self, done: Done) -> None:
        title, style = _OUTCOMES[done.status]
        self._say(f"\n{title}" + (f": {one_line(done.error, 300)}" if done.error else ""), style)
        speed = f", {done.tokens_per_forward:.2f} tokens a forward" if done.forwards else ""
        self._say(
            f"{_count(done.steps, 'model call')}, {_count(done.repairs, 'repair')}, "
            f"{_count(done.tokens, 'token')}{speed}, {done.wall_s:.1f} s"
        )
        for path in done.files_changed:
            self._say(f"  program     {self._workdir}/{path}")
        if done.trajectory:
            self._say(f"  trajectory  {done.trajectory}")
        self._say(f"Next: {_next_step(done)}")

    @contextlib.contextmanager
    def reporting_errors(self) -> Iterator[None]:
        """Also shows what the model package has to say while the run is shown (on a line of its own)."""
        logger, notes = logging.getLogger("model"), _Notes(self._say)
        logger.addHandler(notes)
        try:
            with super().reporting_errors():
                yield
        finally:
            logger.removeHandler(notes)

    def fail(self, message: str, exit_code: int) -> None:
        self._rest()
        print(f"error: {clean(message)}", file=sys.stderr)

    @contextlib.contextmanager
    def busy(self, what: str) -> Iterator[None]:
        with self._console.status(what):
            yield

    def _say(self, text: str, style: str = "") -> None:
        self._end_line()
        self._console.print(Text(clean(text), style=style))

    def _stream(self, text: str, style: str = "") -> None:
        if text:
            text = clean(text)
            self._console.print(Text(text, style=style), end="")
            self._line_open = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._line_open:
            self._console.print()
            self._line_open = False

    def _wait(self, what: str) -> None:
        """A spinner, where the line is free and a person is watching."""
        if self._console.is_terminal and not self._line_open:
            self._status = self._console.status(what)
            self._status.start()

    def _rest(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _next_step(done: Done) -> str:
    show = f"agent trajectories show {done.session_id}"
    match done.status:
        case "solved":
            return f"'{show}' replays the run, 'agent' opens the terminal app"
        case "failed":
            return f"'{show}'; try --max-repairs, another --seed or a larger --model (--keep leaves the code)"
        case "limit":
            return f"'{show}'; raise the limit that was reached"
        case "error" if done.exit_code == 5:
            return "'verify doctor' says what the sandbox needs"
        case _:
            return show
