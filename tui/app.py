"""The Textual app: `agent` without arguments, or `python -m tui`.

A thread iterates the agent's event stream and puts the events into an inbox (`tui.jobs`); a timer takes them
out `FPS` times a second and shows them. However fast tokens come, the screen is drawn that often, and nothing
that blocks runs on the event loop. The first paint needs no model: it is loaded afterwards, in a process of
its own (`tui.worker`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from agent.events import Decoded
from model.request import Decode, ModelInfo
from tui.commands import Commands
from tui.history import PromptHistory
from tui.jobs import Ended, Jobs, Loaded
from tui.progress import Progress
from tui.screens.main import MainScreen
from tui.session import Failure, Settings, TaskRunner
from tui.slash import is_command
from tui.text import duration
from tui.theme import DARK, LIGHT
from tui.widgets.info import Info, State, git_branch
from tui.widgets.notes import MessageBlock, TaskBlock
from tui.widgets.prompt import PromptArea

FPS = 12
BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
QUIT_TWICE_S = 2.0


class TriheadApp(App[int], inherit_bindings=False):
    """`runner` does the work; `clock` and `live` (show the canvas) are set by tests."""

    TITLE = "Trihead"
    CSS_PATH = "app.tcss"
    HORIZONTAL_BREAKPOINTS = BREAKPOINTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "interrupt", "Interrupt", tooltip="Stop the run within one decoding step"),
        Binding("f1", "show_help_screen", "Help", tooltip="Keys, commands and colours"),
        Binding("ctrl+p", "command_palette", "Commands", priority=True, tooltip="Search all commands"),
        Binding("ctrl+o", "toggle_details", "Details", tooltip="Fold or unfold all details"),
        Binding("ctrl+b", "toggle_panel", "Panel", tooltip="Show or hide the side panel (110 columns)"),
        Binding("ctrl+q", "quit", "Quit", priority=True, tooltip="Stop what runs, and leave"),
        Binding("ctrl+c", "help_quit", show=False, system=True),
    ]

    def __init__(
        self,
        runner: TaskRunner,
        *,
        history: PromptHistory | None = None,
        clock: Callable[[], float] = time.monotonic,
        live: bool | None = None,
    ) -> None:
        super().__init__()
        self.runner = runner
        self.jobs = Jobs(runner)
        self.commands = Commands(self)
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        self._clock = clock
        self._history = history or PromptHistory()
        self._live = self.animation_level != "none" if live is None else live
        self._queue: deque[str] = deque()
        self._progress: Progress | None = None
        self.model: ModelInfo | None = None
        self._wanted = runner.settings.model
        self.state: State = "loading"
        self._quitting = False
        self._state_since = clock()
        self._ctrl_c_at = float("-inf")

    def get_default_screen(self) -> Screen[None]:
        self.main = MainScreen(self._history, live=self._live)
        return self.main

    def on_mount(self) -> None:
        self._branch = git_branch(self.runner.settings.workdir)
        if not self.is_headless:
            for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(name, self.call_next, self.action_quit)
        self.show_state("loading")
        self._pump = self.set_interval(1 / FPS, self._drain)
        self.call_after_refresh(self.load_model, self.runner.settings.model)
        if self._history.problem:
            self.say("Prompt history", self._history.problem, "unsure")

    # What the person does

    def on_prompt_area_submitted(self, message: PromptArea.Submitted) -> None:
        if is_command(message.text):
            self.commands.run(message.text)
        else:
            self.submit(message.text)

    def submit(self, task: str) -> None:
        """Run a task (`/run FILE` for a task file), or queue it while something else goes on."""
        if self.state == "error":
            self.say(
                "No model is loaded",
                "Load one with /model NAME, for example /model qwen2.5-coder-0.5b.",
                "bad",
            )
        elif self.state == "ready":
            self._start(task)
        else:
            self._queue.append(task)
            self.show_state(self.state)

    def action_interrupt(self) -> None:
        if self.jobs.stop():
            self.show_state("stopping")
        else:
            self.main.prompt.area.focus()

    async def action_quit(self) -> None:
        """Leave. A run is stopped first, so that files and record are whole; a second time does not wait."""
        if not self.jobs.running or self._quitting:
            self.exit(130 if self.jobs.running else 0)
            return
        self._quitting = True
        self._queue.clear()
        self.jobs.stop()
        self.show_state("stopping")

    def action_help_quit(self) -> None:
        """Ctrl+C with nothing selected: interrupt, or quit the second time; a slip loses nothing."""
        if self.jobs.stop():
            self.show_state("stopping")
        elif self._clock() - self._ctrl_c_at < QUIT_TWICE_S:
            self.call_next(self.action_quit)
        else:
            self.notify("Ctrl+C again quits; so does Ctrl+Q.", timeout=QUIT_TWICE_S, markup=False)
        self._ctrl_c_at = self._clock()

    def action_show_help_screen(self) -> None:
        from tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    def action_scroll_help(self, direction: int) -> None:
        self.screen.query_one("#help").scroll_relative(y=direction, animate=False)

    def action_toggle_details(self) -> None:
        self.main.transcript.toggle_details()

    def action_toggle_panel(self) -> None:
        self.main.panel.toggle_class("-shown")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)
        yield from self.commands.palette()

    def clear(self) -> None:
        """Empty the transcript; what runs goes on below."""
        self.main.transcript.clear()
        if self.state != "running":
            self.main.welcome()

    def load_model(self, name: str) -> None:
        self._wanted = name
        self.show_state("loading")
        self.jobs.load(name)

    def _start(self, task: str) -> None:
        self.main.transcript.add(TaskBlock(task))
        self.main.transcript.anchor()
        self._progress = Progress(self._clock)
        self.jobs.run(task)
        self.show_state("running")

    # What comes back

    def _drain(self) -> None:
        """Show everything that arrived since the last frame; decoding steps cost one drawing together."""
        decoded = False
        while self.jobs.inbox:
            item = self.jobs.inbox.popleft()
            match item:
                case Loaded():
                    self._loaded(item)
                case Ended():
                    self._ended(item)
                case _:
                    decoded = decoded or isinstance(item, Decoded)
                    if self._progress is not None:
                        self._progress.apply(item)
                    self.main.transcript.apply(item)
        if decoded:
            self.main.transcript.show_canvas()
        if self.state in ("running", "stopping", "loading"):
            self.show_state(self.state)
            self.main.panel.show(self._progress)

    def _loaded(self, loaded: Loaded) -> None:
        if isinstance(loaded.outcome, Failure):
            hint = f"\nThen type /model {loaded.name}" if "pull" in loaded.outcome.message else ""
            self.say(f"Model {loaded.name} is not loaded", loaded.outcome.message + hint, "bad")
            if self._queue:
                self.say("What was typed has not been run", "Up brings it back.", "unsure")
                self._queue.clear()
            self.show_state("ready" if self.model is not None else "error")
            return
        self.model = loaded.outcome
        self._idle()

    def _ended(self, ended: Ended) -> None:
        self.jobs.over()
        if ended.failure is not None:
            self.say("Not run" if self._progress and not self._progress.session_id else "The run broke off",
                      ended.failure.message, "bad")  # fmt: skip
        self.main.panel.show(self._progress)
        if self._quitting:
            self.exit(130)
        else:
            self._idle()

    def _idle(self) -> None:
        self.show_state("ready")
        if self._queue:
            self._start(self._queue.popleft())

    def say(self, title: str, text: str = "", kind: str = "info") -> None:
        self.main.transcript.add(MessageBlock(title, text, kind=kind))

    def show_state(self, state: State) -> None:
        if state != self.state:
            self.state, self._state_since = state, self._clock()
        settings, model, progress = self.runner.settings, self.model, self._progress
        self.main.info.info = Info(
            state=state,
            model=self._wanted if state == "loading" or model is None else model.name,
            decode=settings.decode,
            device=f"{model.device} {model.precision}" if model else "",
            context=model.context if model else 0,
            context_tokens=progress.context_tokens if progress else 0,
            queued=len(self._queue),
            workdir=settings.workdir,
            branch=self._branch,
        )
        self.main.prompt.show_state(
            state, (progress.stage or "") if progress else "", duration(self._clock() - self._state_since)
        )


def run(
    *,
    model: str = "default",
    decode: Decode = "auto",
    workdir: Path | str | None = None,
    seed: int | None = None,
    max_steps: int | None = None,
    max_repairs: int | None = None,
    max_tokens: int | None = None,
    timeout: float | None = None,
    keep: bool | None = None,
) -> int:
    """Open the app on the terminal; returns 0, 2 (no terminal, no such folder), 5, or 130 (quit in a run).

    The limits are those of `agent.options.Options`; None leaves them to the task.
    """
    from agent.session import data_folder
    from tui.terminal import own_terminal
    from tui.worker import Worker

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print("the app needs a terminal; use 'agent run TASK.md' in scripts and pipes", file=sys.stderr)
        return 2
    folder = Path(workdir or ".").resolve()
    if not folder.is_dir():
        print(f"{workdir}: not a folder; --workdir takes the folder to work on", file=sys.stderr)
        return 2
    limits = (seed, max_steps, max_repairs, max_tokens, timeout, keep)
    worker = Worker(Settings(model, decode, folder, *limits))
    home = data_folder()
    app = TriheadApp(worker, history=PromptHistory(home / "history.jsonl"))
    try:
        with own_terminal(home / "logs" / "tui.log"), contextlib.closing(worker):
            worker.start()
            code = app.run()
    except OSError as error:
        print(f"{home}: cannot write the log ({error.strerror}); set TRIHEAD_HOME", file=sys.stderr)
        return 5
    return app.return_code or code or 0
