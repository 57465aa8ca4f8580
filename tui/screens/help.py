"""Help: keys, commands, and how to read the canvas and the verdicts."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widget import Widget

from tui.keys import HELP
from tui.slash import COMMANDS
from tui.widgets.denoise import HEAD_STYLES, MASK_GLYPH

NAME_WIDTH = 14
HEADS = {
    "ar": "the AR head: one token after another; in `verified` it keeps drafts or overrules them",
    "diffusion": "the diffusion head: its drafts that the AR head kept, or a whole block in free diffusion",
    "length": "the length head: how long the answer will be",
}
SIGNS = (
    (MASK_GLYPH, "$foreground-disabled", "a position that is still masked"),
    ("abc", "italic dim", "a draft: shown, not final yet; in `lookup` it is a copy from the prompt"),
    ("abc", "underline", "was another token a step before: a draft revised, or overruled by the AR head"),
    ("abc", "bold reverse", "made final, or a draft that was kept, in this very step"),
    ("✓ ✗ –", "", "a case that passed, failed, did not run"),
    ("?", "$text-warning", "nothing is known about the program: no tests, or no sandbox"),
)


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,question_mark", "dismiss", "Close"),
        Binding("j,down", "scroll_help(1)", show=False),
        Binding("k,up", "scroll_help(-1)", show=False),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc closes"
            yield HelpText()

    def action_scroll_help(self, direction: int) -> None:
        self.query_one("#help").scroll_relative(y=direction, animate=False)


class HelpText(Widget):
    """The text, wrapped so that the rows of a description hang under its first, at any width."""

    def render(self) -> Content:
        return _content(self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return _content(width).plain.count("\n") + 1


def _content(width: int) -> Content:
    rows = [_title("Keys"), *(_row(key, "bold $text-primary", text, width) for key, text in HELP)]
    rows += [Content(""), _title("Commands")]
    rows += [_row(command.usage, "bold $text-accent", command.help, width) for command in COMMANDS]
    rows += [Content(""), _title("Colours of the tokens")]
    rows += [_row(head, HEAD_STYLES[head], text, width) for head, text in HEADS.items()]
    rows += [Content(""), _title("Signs"), *(_row(sign, style, text, width) for sign, style, text in SIGNS)]
    return Content("\n").join(rows)


def _title(text: str) -> Content:
    return Content.styled(text.upper(), "bold $foreground-muted")


def _row(name: str, style: str, text: str, width: int) -> Content:
    lines = textwrap.wrap(text, width=max(16, width - NAME_WIDTH))
    indent = "\n" + " " * NAME_WIDTH
    return Content.assemble((f"{name:<{NAME_WIDTH}}", style), (indent.join(lines), "$text"))
