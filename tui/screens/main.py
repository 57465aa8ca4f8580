"""The one screen: transcript, side panel when it is wide enough, prompt, info bar, keys."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from tui.history import PromptHistory
from tui.widgets.info import InfoBar
from tui.widgets.panel import RunPanel
from tui.widgets.prompt import PromptBox
from tui.widgets.transcript import Transcript

_TITLE = Content.assemble(
    ("◆", "$text-primary"), ("◆", "$text-accent"), ("◆ ", "$text-warning"), ("Trihead", "bold $text")
)
_CLAIM = Content.styled("  one model, three heads: it writes code, runs it, repairs it", "$foreground-muted")
_EXAMPLE = "  Write slugify(title). slugify('Big Bad Wolf') == 'big-bad-wolf'"


def _hint(key: str, text: str) -> Content:
    return Content.assemble((key, "$text-accent"), (f"  {text}    ", "$foreground-muted"))


WELCOME = Content("\n").join(
    [
        _TITLE + _CLAIM,
        Content(""),
        Content.styled("Type a task. Examples in it become its tests:", "$text"),
        Content.styled(_EXAMPLE, "$text-accent"),
        Content(""),
        _hint("/run FILE", "a task file with tests") + _hint("F1", "help") + _hint("Esc", "interrupt"),
    ]
)


WIDE = 110
"""Columns from which on the side panel has room."""


class MainScreen(Screen[None]):
    AUTO_FOCUS = "#prompt"

    def __init__(self, history: PromptHistory, *, live: bool) -> None:
        super().__init__()
        self.transcript = Transcript(live=live)
        self.panel = RunPanel(id="panel", classes="-shown")
        self.prompt = PromptBox(history)
        self.info = InfoBar()

    def compose(self) -> ComposeResult:
        with Horizontal(id="main"):
            yield self.transcript
            yield self.panel
        yield self.prompt
        yield self.info
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.welcome()

    def on_resize(self) -> None:
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key for the side panel where there is no room for it."""
        return action != "toggle_panel" or self.size.width >= WIDE

    def action_toggle_panel(self) -> None:
        self.panel.toggle_class("-shown")

    def welcome(self) -> None:
        """Put the greeting into the (empty) transcript."""
        self.transcript.add(Static(WELCOME, classes="welcome"))
