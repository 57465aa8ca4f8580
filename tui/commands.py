"""What a person can ask for beside a task: slash commands at the prompt, and the palette of Ctrl+P."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from model.request import Decode
from tui.session import DECODES
from tui.slash import SlashError, parse

if TYPE_CHECKING:
    from tui.app import TriheadApp


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
            case "clear":
                app.clear()
            case "help":
                app.action_show_help_screen()
            case "quit":
                app.call_next(app.action_quit)

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

    def palette(self) -> Iterator[SystemCommand]:
        """What Ctrl+P finds."""
        app = self._app
        yield SystemCommand("Help", "Keys, commands and colours", app.action_show_help_screen)
        yield SystemCommand("Interrupt", "Stop the run within one decoding step", app.action_interrupt)
        yield SystemCommand("Clear", "Empty the transcript", app.clear)
        yield SystemCommand("Details", "Fold or unfold all details", app.action_toggle_details)
        for mode in DECODES:
            yield SystemCommand(
                f"Decode: {mode}", "Decode mode of the next task", lambda m=mode: self.choose_decode(m)
            )
        from model.names import NAMED

        for name, named in NAMED.items():
            yield SystemCommand(f"Model: {name}", named.about, lambda n=name: self.choose_model(n))
