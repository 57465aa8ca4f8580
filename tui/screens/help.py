"""Help: keys, commands, and how to read the canvas and the verdicts."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.slash import COMMANDS
from tui.widgets.denoise import HEAD_STYLES, MASK_GLYPH

TEXT_WIDTH = 54
KEYS = (
    ("Enter", "send the task (while one runs: queue it)"),
    ("Ctrl+J", "new line; Shift+Enter or Alt+Enter where the terminal tells them apart"),
    ("Up / Down", "earlier and later prompts, at the first and last line"),
    ("Esc", "interrupt the run, within one decoding step"),
    ("Ctrl+Q", "quit; a run in progress is stopped and put on record first"),
    ("Ctrl+C", "copy the selected text; interrupt a run; twice: quit"),
    ("Ctrl+P", "command palette (themes, models, decode modes)"),
    ("Ctrl+O", "fold or unfold all details; Tab, Enter for one block"),
    ("Ctrl+B", "side panel (from 110 columns on)"),
    ("PgUp / PgDn", "scroll; in the transcript also j, k, g, G"),
    ("F1 or ?", "this help"),
)
HEADS = {
    "ar": "the AR head: one token after another, and the last word in `verified`",
    "diffusion": "the diffusion head: a whole block at once",
    "length": "the length head: how long the answer will be",
}
SIGNS = (
    (MASK_GLYPH, "$foreground-disabled", "a position that is still masked"),
    ("abc", "italic dim", "a draft: shown, not final yet"),
    ("✓ ✗ –", "", "a case that passed, failed, did not run"),
    ("?", "$text-warning", "nothing is known about the program: no tests, or no sandbox"),
)


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,question_mark", "dismiss", "Close"),
        Binding("j,down", "app.scroll_help(1)", show=False),
        Binding("k,up", "app.scroll_help(-1)", show=False),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc closes"
            yield Static(_content())


def _content() -> Content:
    rows = [_title("Keys"), *(_row(key, "bold $text-primary", text) for key, text in KEYS)]
    rows += [Content(""), _title("Commands")]
    rows += [_row(command.usage, "bold $text-accent", command.help) for command in COMMANDS]
    rows += [Content(""), _title("Colours of the tokens")]
    rows += [_row(head, HEAD_STYLES[head], text) for head, text in HEADS.items()]
    rows += [Content(""), _title("Signs"), *(_row(sign, style, text) for sign, style, text in SIGNS)]
    return Content("\n").join(rows)


def _title(text: str) -> Content:
    return Content.styled(text.upper(), "bold $foreground-muted")


def _row(name: str, style: str, text: str) -> Content:
    # Wrapped here, so that the second row hangs under the first.
    lines = textwrap.wrap(text, width=TEXT_WIDTH)
    return Content.assemble(
        (f"{name:<14}", style), ("\n".join([lines[0], *(" " * 14 + line for line in lines[1:])]), "$text")
    )
