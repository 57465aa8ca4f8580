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
from textual.binding import BindingType
from textual.screen import Screen

from agent.events import Decoded
from model.request import Decode, ModelInfo
from tui.commands import Commands
from tui.history import PromptHistory
from tui.jobs import Ended, Jobs, Loaded
from tui.keys import BINDINGS
from tui.progress import Progress
from tui.screens.main import WIDE, MainScreen
from tui.session import Failure, Settings, TaskRunner
from tui.slash import is_command
from tui.text import whole_seconds
from tui.theme import DARK, LIGHT
from tui.widgets.info import Info, State, git_branch
from tui.widgets.notes import MessageBlock, TaskBlock
from tui.widgets.prompt import PromptArea

FPS = 12
BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
QUIT_TWICE_S = 2.0
RESTART = "The next task starts it again."


class TriheadApp(App[int], inherit_bindings=False):
    """`runner` does the work; `clock` and `live` (show the canvas) are set by tests."""

    TITLE = "Trihead"
    CSS_PATH = "app.tcss"
    HORIZONTAL_BREAKPOINTS = BREAKPOINTS
    BINDINGS: ClassVar[list[BindingType]] = BINDINGS

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
        self._history = PromptHistory() if history is None else history
        self._live = self.animation_level != "none" if live is None else live
        self._queue: deque[str] = deque()
        self._progress: Progress | None = None
        self.model: ModelInfo | None = None
        self._model_name = ""  # the name under which `model` was asked for
        self.wanted = runner.settings.model
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
            if self.state == "ended":
                self.load_model(self.wanted)

    def action_interrupt(self) -> None:
        """Esc: stop the run, take back what waits for its turn, and be ready to type."""
        if self.jobs.stop():
            self.show_state("stopping")
        self._take_back()
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
        if self.jobs.running:
            self.action_interrupt()
        elif self._clock() - self._ctrl_c_at < QUIT_TWICE_S:
            self.call_next(self.action_quit)
        else:
            self.notify("Ctrl+C again quits; so does Ctrl+Q.", timeout=QUIT_TWICE_S, markup=False)
        self._ctrl_c_at = self._clock()

    def action_show_help_screen(self) -> None:
        from tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    def action_toggle_details(self) -> None:
        self.main.transcript.toggle_details()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)
        yield from self.commands.palette()

    def load_model(self, name: str) -> None:
        self.wanted = name
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
        elif self.state == "ready" and (how := self.runner.ended):
            self._idle()
            self.say("The process of the model ended", f"{how}. {RESTART}", "bad")

    def _loaded(self, loaded: Loaded) -> None:
        if isinstance(loaded.outcome, Failure):
            hint = f"\nThen type /model {loaded.name}" if "pull" in loaded.outcome.message else ""
            self.say(f"Model {loaded.name} is not loaded", loaded.outcome.message + hint, "bad")
            self._take_back()
        else:
            self.model, self._model_name = loaded.outcome, loaded.name
        self.wanted = self._model_name or loaded.name
        self._idle()

    def _ended(self, ended: Ended) -> None:
        self.jobs.over()
        if ended.failure is not None:
            self.main.transcript.stop()
            started = self._progress is not None and self._progress.session_id
            restart = f". {RESTART}" if self.runner.ended else ""
            self.say("The run broke off" if started else "Not run", ended.failure.message + restart, "bad")
        self.main.panel.show(self._progress)
        if self._quitting:
            self.exit(130)
        else:
            self._idle()

    def _idle(self) -> None:
        """Nothing goes on any more: the next task, if one waits and there is a model to run it."""
        if self.runner.ended:
            self._take_back()
            self.show_state("ended")
        elif self.model is None:
            self.show_state("error")
        else:
            self.show_state("ready")
            if self._queue:
                self._start(self._queue.popleft())

    def _take_back(self) -> None:
        if self._queue:
            self.say("What was typed has not been run", "Up brings it back.", "unsure")
            self._queue.clear()
            self.show_state(self.state)

    @property
    def last_session(self) -> str:
        """The id of the newest run in this app, '' before the first."""
        return self._progress.session_id if self._progress else ""

    def say(self, title: str, text: str = "", kind: str = "info") -> None:
        self.main.transcript.add(MessageBlock(title, text, kind=kind))

    def show_state(self, state: State) -> None:
        if state != self.state:
            self.state, self._state_since = state, self._clock()
        settings, model, progress = self.runner.settings, self.model, self._progress
        self.main.info.info = Info(
            state=state,
            model=self.wanted if state == "loading" or model is None else model.name,
            decode=settings.decode,
            device=" ".join(x for x in (model.device, model.precision) if x != "none") if model else "",
            context=model.context if model else 0,
            context_tokens=progress.context_tokens if progress else 0,
            queued=len(self._queue),
            workdir=settings.workdir,
            branch=self._branch,
        )
        self.main.prompt.show_queue(self._queue)
        self.main.prompt.show_state(
            state,
            (progress.stage or "") if progress else "",
            whole_seconds(self._clock() - self._state_since),
        )


def run(*, model: str = "default", decode: Decode = "auto", workdir: Path | str | None = None) -> int:
    """Open the app on the terminal; returns 0, 2 (no terminal, no such folder), 5, or 130 (quit in a run)."""
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
    worker = Worker(Settings(model, decode, folder))
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
