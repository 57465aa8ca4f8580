"""What a person can ask for beside a task: slash commands at the prompt, and the palette of Ctrl+P."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from agent.errors import AgentError
from agent.events import Restored
from model.request import Decode
from tui.session import DECODES
from tui.slash import SlashError, parse
from tui.widgets.notes import RestoredBlock

if TYPE_CHECKING:
    from tui.app import TriheadApp
    from tui.past import PastRun


class Commands:
    """Of one app."""

    def __init__(self, app: TriheadApp) -> None:
        self._app = app

    def run(self, text: str) -> None:
        """A slash command as it was typed."""
        app = self._app
        try:
            command, argument = parse(text)
        except SlashError as error:
            app.say(str(error), kind="bad")
            return
        match command.name:
            case "run":
                app.submit(text)
            case "model":
                self.choose_model(argument)
            case "decode":
                self.choose_decode(argument)
            case "undo":
                self.undo(argument)
            case "sessions":
                self.show_sessions()
            case "clear":
                self.clear()
            case "help":
                app.action_show_help_screen()
            case "quit":
                app.call_next(app.action_quit)

    def clear(self) -> None:
        """Empty the transcript; what runs goes on below."""
        self._app.main.transcript.clear()
        if self._app.state != "running":
            self._app.main.welcome()

    def choose_model(self, name: str) -> None:
        """Load another model; without a name, say which one is in use."""
        app = self._app
        if not name:
            info = app.model
            app.say(f"Model {info.name}, {info.device} {info.precision}" if info else "No model is loaded")
        elif app.state in ("running", "stopping", "loading"):
            app.say("The model cannot be changed now", "Esc interrupts the run; then /model again.", "unsure")
        else:
            app.load_model(name)

    def choose_decode(self, mode: str) -> None:
        """Set how the next task is decoded; without a mode, say which one is in use."""
        app = self._app
        settings = app.runner.settings
        if not mode:
            app.say(f"Decode mode {settings.decode}; there are {', '.join(DECODES)}")
            return
        chosen: Decode | None = next((known for known in DECODES if known == mode.lower()), None)
        if chosen is None:
            app.say(f"There is no decode mode {mode}", f"Modes: {', '.join(DECODES)}.", "bad")
            return
        app.runner.settings = dataclasses.replace(settings, decode=chosen)
        app.say(f"Decode mode {chosen}" + (", from the next task on" if app.state == "running" else ""))
        app.show_state(app.state)

    def undo(self, session_id: str = "") -> None:
        """Put back the files of a run; without an id, of the last one in this app."""
        from tui.past import undo

        app = self._app
        session_id = session_id or app.last_session
        if app.jobs.running:
            app.say("Nothing can be put back while a task runs", "Esc interrupts it.", "unsure")
        elif not session_id:
            app.say("No task was run here yet", "/sessions lists the runs of before.", "unsure")
        else:
            try:
                paths = undo(session_id)
            except AgentError as error:
                app.say("Not put back", str(error), "bad")
                return
            if paths:
                app.main.transcript.add(RestoredBlock(Restored(paths)))
            else:
                app.say(f"Nothing to put back of {session_id}", "A file that was edited since is left alone.")

    def show_sessions(self) -> None:
        """The runs of before, to be run again or undone."""
        from tui.past import past_runs
        from tui.screens.sessions import SessionsScreen

        if not isinstance(self._app.screen, SessionsScreen):
            self._app.push_screen(SessionsScreen(past_runs()), self._picked)

    def _picked(self, picked: tuple[str, PastRun] | None) -> None:
        if picked is None:
            return
        what, run = picked
        if what == "undo":
            self.undo(run.session.id)
            return
        app = self._app
        if run.workdir and Path(run.workdir) != app.runner.settings.workdir:
            app.say(
                "That run worked in another folder", f"{run.workdir}: agent --workdir opens it.", "unsure"
            )
        app.main.prompt.area.put(run.prompt)

    def palette(self) -> Iterator[SystemCommand]:
        """What Ctrl+P finds."""
        app = self._app
        yield SystemCommand("Help", "Keys, commands and colours", app.action_show_help_screen)
        yield SystemCommand("Interrupt", "Stop the run within one decoding step", app.action_interrupt)
        yield SystemCommand("Undo", "Put back the files that the last run changed", self.undo)
        yield SystemCommand("Sessions", "Runs of before: run again, or undo", self.show_sessions)
        yield SystemCommand("Clear", "Empty the transcript", self.clear)
        yield SystemCommand("Details", "Fold or unfold all details", app.action_toggle_details)
        for mode in DECODES:
            yield SystemCommand(
                f"Decode: {mode}", "Decode mode of the next task", lambda m=mode: self.choose_decode(m)
            )
        from model.names import NAMED

        for name, named in NAMED.items():
            yield SystemCommand(f"Model: {name}", named.about, lambda n=name: self.choose_model(n))
