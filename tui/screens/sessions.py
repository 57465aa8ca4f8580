"""Runs of before: pick one to run it again, or put back the files that it changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.past import PastRun
from tui.text import clean_line, plural

STATUS: dict[str, tuple[str, str]] = {
    "solved": ("✓", "$text-success"),
    "failed": ("✗", "$text-error"),
    "limit": ("✗", "$text-error"),
    "error": ("!", "$text-error"),
    "cancelled": ("■", "$text-warning"),
    "unfinished": ("…", "$text-warning"),
    "damaged": ("?", "$text-warning"),
}
EMPTY = "No run has been recorded yet."


class SessionsScreen(ModalScreen[tuple[str, PastRun] | None]):
    """Its result: `again` or `undo`, and the run; None when nothing was picked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close"),
        Binding("u", "undo", "Undo"),
    ]

    def __init__(self, runs: Sequence[PastRun]) -> None:
        super().__init__()
        self._runs = runs

    def compose(self) -> ComposeResult:
        with Vertical(id="sessions") as box:
            box.border_title = f"Sessions  {plural(len(self._runs), 'run')}, the newest first"
            box.border_subtitle = "Enter: into the prompt · u: put its files back · Esc closes"
            if self._runs:
                yield OptionList(*(Option(_row(run)) for run in self._runs), markup=False)
            else:
                yield Static(EMPTY, markup=False)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        self.dismiss(("again", self._runs[message.option_index]))

    def action_undo(self) -> None:
        for options in self.query(OptionList):
            if options.highlighted is not None:
                self.dismiss(("undo", self._runs[options.highlighted]))

    def action_close(self) -> None:
        self.dismiss(None)


def _row(run: PastRun) -> Content:
    glyph, style = STATUS.get(run.status, STATUS["damaged"])
    speed = f"{run.tokens_per_forward:.2f}/fwd" if run.tokens else ""
    return Content.assemble(
        (f"{glyph} {run.status:<11}", style),
        (f"{run.when}  ", "$foreground-muted"),
        (f"{speed:<10}", "$foreground-muted"),
        clean_line(run.task)[:200],
    )
