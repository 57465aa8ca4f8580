"""The Textual app: `agent` without arguments, or `python -m tui`.

A thread iterates the agent's event stream and puts the events into an inbox; a timer takes them out `FPS`
times a second and shows them. However fast tokens come, the screen is drawn that often, and nothing that
blocks runs on the event loop. The first paint needs no model: it is loaded afterwards, in a thread.
"""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from agent.events import Decoded, Event
from model.request import Decode, ModelInfo
from tui.history import PromptHistory
from tui.progress import Progress
from tui.screens.main import MainScreen
from tui.session import DECODES, Failure, Settings, TaskRunner, describe
from tui.slash import SlashError, is_command, parse
from tui.text import duration
from tui.theme import DARK, LIGHT
from tui.widgets.info import Info, State, git_branch
from tui.widgets.notes import MessageBlock, TaskBlock
from tui.widgets.prompt import PromptArea

FPS = 12
BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
QUIT_TWICE_S = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Loaded:
    name: str
    outcome: ModelInfo | Failure


@dataclasses.dataclass(frozen=True, slots=True)
class _Ended:
    """The run's thread is about to end; `failure` when the stream could not start or broke off."""

    failure: Failure | None


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
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        self._clock = clock
        self._history = history or PromptHistory()
        self._live = self.animation_level != "none" if live is None else live
        self._inbox: deque[Event | _Loaded | _Ended] = deque()
        self._queue: deque[str] = deque()
        self._cancel: threading.Event | None = None
        self._progress: Progress | None = None
        self._model: ModelInfo | None = None
        self._wanted = runner.settings.model
        self._state: State = "loading"
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
        self._show_state("loading")
        self._pump = self.set_interval(1 / FPS, self._drain)
        self.call_after_refresh(self._load, self.runner.settings.model)
        if self._history.problem:
            self._say("Prompt history", self._history.problem, "unsure")

    # What the person does

    def on_prompt_area_submitted(self, message: PromptArea.Submitted) -> None:
        if is_command(message.text):
            self._command(message.text)
        else:
            self.submit(message.text)

    def submit(self, task: str) -> None:
        """Run a task (`/run FILE` for a task file), or queue it while something else goes on."""
        if self._state == "error":
            self._say(
                "No model is loaded",
                "Load one with /model NAME, for example /model qwen2.5-coder-0.5b.",
                "bad",
            )
        elif self._state == "ready":
            self._start(task)
        else:
            self._queue.append(task)
            self._show_state(self._state)

    def _command(self, text: str) -> None:
        try:
            command, argument = parse(text)
        except SlashError as error:
            self._say(str(error), kind="bad")
            return
        match command.name:
            case "run":
                self.submit(text)
            case "model":
                self.choose_model(argument)
            case "decode":
                self.choose_decode(argument)
            case "clear":
                self._clear()
            case "help":
                self.action_show_help_screen()
            case "quit":
                self.call_next(self.action_quit)

    def choose_model(self, name: str) -> None:
        """Load another model; without a name, say which one is in use."""
        if not name:
            info = self._model
            self._say(f"Model {info.name}, {info.device} {info.precision}" if info else "No model is loaded")
        elif self._state in ("running", "stopping", "loading"):
            self._say(
                "The model cannot be changed now", "Esc interrupts the run; then /model again.", "unsure"
            )
        else:
            self._load(name)

    def choose_decode(self, mode: str) -> None:
        """Set how the next task is decoded; without a mode, say which one is in use."""
        settings = self.runner.settings
        if not mode:
            self._say(f"Decode mode {settings.decode}; there are {', '.join(DECODES)}")
            return
        chosen: Decode | None = next((known for known in DECODES if known == mode.lower()), None)
        if chosen is None:
            self._say(f"There is no decode mode {mode}", f"Modes: {', '.join(DECODES)}.", "bad")
            return
        self.runner.settings = dataclasses.replace(settings, decode=chosen)
        self._say(f"Decode mode {chosen}" + (", from the next task on" if self._state == "running" else ""))
        self._show_state(self._state)

    def action_interrupt(self) -> None:
        if self._cancel is not None and not self._cancel.is_set():
            self._cancel.set()
            self._show_state("stopping")
        else:
            self.main.prompt.area.focus()

    async def action_quit(self) -> None:
        """Leave. A run is stopped first, so that files and record are whole; a second time does not wait."""
        if self._cancel is None or self._quitting:
            self.exit(130 if self._cancel is not None else 0)
            return
        self._quitting = True
        self._queue.clear()
        self._cancel.set()
        self._show_state("stopping")

    def action_help_quit(self) -> None:
        """Ctrl+C with nothing selected: interrupt, or quit the second time; a slip loses nothing."""
        if self._cancel is not None and not self._cancel.is_set():
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

    def action_scroll_help(self, direction: int) -> None:
        self.screen.query_one("#help").scroll_relative(y=direction, animate=False)

    def action_toggle_details(self) -> None:
        self.main.transcript.toggle_details()

    def action_toggle_panel(self) -> None:
        self.main.panel.toggle_class("-shown")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)
        yield SystemCommand("Help", "Keys, commands and colours", self.action_show_help_screen)
        yield SystemCommand("Interrupt", "Stop the run within one decoding step", self.action_interrupt)
        yield SystemCommand("Clear", "Empty the transcript", self._clear)
        yield SystemCommand("Details", "Fold or unfold all details", self.action_toggle_details)
        for mode in DECODES:
            yield SystemCommand(
                f"Decode: {mode}", "Decode mode of the next task", lambda m=mode: self.choose_decode(m)
            )
        from model.names import NAMED

        for name, named in NAMED.items():
            yield SystemCommand(f"Model: {name}", named.about, lambda n=name: self.choose_model(n))

    def _clear(self) -> None:
        """Empty the transcript; what runs goes on below."""
        self.main.transcript.clear()
        if self._state != "running":
            self.main.welcome()

    # What happens in threads

    def _load(self, name: str) -> None:
        self._wanted = name
        self._show_state("loading")
        # A daemon: an import of torch cannot be interrupted, and leaving must not wait for it.
        threading.Thread(target=self._load_model, args=(name,), name="load", daemon=True).start()

    def _load_model(self, name: str) -> None:
        outcome: ModelInfo | Failure
        try:
            outcome = self.runner.load(name)
        except Exception as error:  # a thread has no caller: whatever it is, the person must see it
            outcome = describe(error)
        self._inbox.append(_Loaded(name, outcome))

    def _start(self, task: str) -> None:
        self.main.transcript.add(TaskBlock(task))
        self.main.transcript.anchor()
        self._cancel = threading.Event()
        self._progress = Progress(self._clock)
        self._show_state("running")
        threading.Thread(target=self._run_task, args=(task, self._cancel), name="run").start()

    def _run_task(self, task: str, cancel: threading.Event) -> None:
        failure = None
        try:
            for event in self._events(task, cancel):
                self._inbox.append(event)
        except Exception as error:  # as in _load_model
            failure = describe(error)
        self._inbox.append(_Ended(failure))

    def _events(self, task: str, cancel: threading.Event) -> Iterator[Event]:
        if is_command(task):
            return self.runner.run_file(Path(parse(task)[1]).expanduser(), cancel)
        return self.runner.run(task, cancel)

    # What comes back

    def _drain(self) -> None:
        """Show everything that arrived since the last frame; decoding steps cost one drawing together."""
        decoded = False
        while self._inbox:
            item = self._inbox.popleft()
            match item:
                case _Loaded():
                    self._loaded(item)
                case _Ended():
                    self._ended(item)
                case _:
                    decoded = decoded or isinstance(item, Decoded)
                    if self._progress is not None:
                        self._progress.apply(item)
                    self.main.transcript.apply(item)
        if decoded:
            self.main.transcript.show_canvas()
        if self._state in ("running", "stopping", "loading"):
            self._show_state(self._state)
            self.main.panel.show(self._progress)

    def _loaded(self, loaded: _Loaded) -> None:
        if isinstance(loaded.outcome, Failure):
            hint = f"\nThen type /model {loaded.name}" if "pull" in loaded.outcome.message else ""
            self._say(f"Model {loaded.name} is not loaded", loaded.outcome.message + hint, "bad")
            if self._queue:
                self._say("What was typed has not been run", "Up brings it back.", "unsure")
                self._queue.clear()
            self._show_state("ready" if self._model is not None else "error")
            return
        self._model = loaded.outcome
        self._idle()

    def _ended(self, ended: _Ended) -> None:
        self._cancel = None
        if ended.failure is not None:
            self._say("Not run" if self._progress and not self._progress.session_id else "The run broke off",
                      ended.failure.message, "bad")  # fmt: skip
        self.main.panel.show(self._progress)
        if self._quitting:
            self.exit(130)
        else:
            self._idle()

    def _idle(self) -> None:
        self._show_state("ready")
        if self._queue:
            self._start(self._queue.popleft())

    def _say(self, title: str, text: str = "", kind: str = "info") -> None:
        self.main.transcript.add(MessageBlock(title, text, kind=kind))

    def _show_state(self, state: State) -> None:
        if state != self._state:
            self._state, self._state_since = state, self._clock()
        settings, model, progress = self.runner.settings, self._model, self._progress
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
        self._show_frame()

    def _show_frame(self) -> None:
        """The edge of the prompt: what goes on, for how long, and the key that matters now."""
        box, state = self.main.prompt, self._state
        since = duration(self._clock() - self._state_since)
        doing = self._progress.stage if self._progress and self._progress.stage else "starting"
        box.border_title = {
            "loading": f"Loading model · {since}",
            "ready": "Task",
            "running": f"{doing.capitalize()} · {since}",
            "stopping": f"Stopping · {since}",
            "error": "No model",
        }[state]
        box.border_subtitle = {
            "loading": "type ahead: it runs when the model is there",
            "ready": "Enter sends · Ctrl+J new line",
            "running": "Esc interrupts · Enter queues",
            "stopping": "ends with this decoding step",
            "error": "/model NAME loads a model",
        }[state]
        box.set_class(state == "running", "-running")
        box.set_class(state in ("loading", "stopping", "error"), "-warning")


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
    from tui.session import Runner
    from tui.terminal import own_terminal

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print("the app needs a terminal; use 'agent run TASK.md' in scripts and pipes", file=sys.stderr)
        return 2
    folder = Path(workdir or ".").resolve()
    if not folder.is_dir():
        print(f"{workdir}: not a folder; --workdir takes the folder to work on", file=sys.stderr)
        return 2
    settings = Settings(
        model=model,
        decode=decode,
        workdir=folder,
        seed=seed,
        max_steps=max_steps,
        max_repairs=max_repairs,
        max_tokens=max_tokens,
        timeout=timeout,
        keep=keep,
    )
    home = data_folder()
    app = TriheadApp(Runner(settings), history=PromptHistory(home / "history.jsonl"))
    try:
        with own_terminal(home / "logs" / "tui.log"):
            code = app.run()
    except OSError as error:
        print(f"{home}: cannot write the log ({error.strerror}); set TRIHEAD_HOME", file=sys.stderr)
        return 5
    return app.return_code or code or 0
