"""A block of the transcript: a one-row heading (glyph, title, a note at the right) and a body under it.

A foldable block's heading takes the focus; Enter, Space or a click folds it.
"""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.text import fit


class BlockHeading(Widget):
    """One row. `glyph` says what the colour says, for readers without colour."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "fold", "Fold", show=False)]

    class Fold(Message):
        """The heading was clicked or Enter was pressed on it."""

    glyph = reactive("")
    title = reactive("")
    note = reactive("")
    folded: reactive[bool | None] = reactive(None)

    def __init__(self, glyph: str, title: str, note: str, folded: bool | None) -> None:
        super().__init__()
        self.can_focus = folded is not None
        self.set_reactive(BlockHeading.glyph, glyph)
        self.set_reactive(BlockHeading.title, title)
        self.set_reactive(BlockHeading.note, note)
        self.set_reactive(BlockHeading.folded, folded)

    def render(self) -> RenderResult:
        width = self.content_size.width
        arrow = "" if self.folded is None else (" ▸" if self.folded else " ▾")
        title = fit(self.title, width - cell_len(self.glyph) - 1 - len(arrow))
        used = cell_len(self.glyph) + 1 + cell_len(title) + len(arrow)
        note = fit(self.note, width - used - 2) if width - used > 6 else ""
        gap = " " * max(0, width - used - cell_len(note))
        return Content.assemble(
            (self.glyph, "bold"),
            " ",
            (title, "bold"),
            (arrow, "$foreground-muted"),
            gap,
            (note, "$foreground-muted not bold"),
        )

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.action_fold()

    def action_fold(self) -> None:
        if self.folded is not None:
            self.post_message(self.Fold())


class Block(Vertical):
    """`kind` becomes the CSS class `-kind`, which colours the heading and the body's edge."""

    def __init__(
        self,
        glyph: str,
        title: str,
        *body: Widget,
        note: str = "",
        kind: str = "plain",
        folded: bool | None = None,
    ) -> None:
        super().__init__(classes=f"block -{kind}")
        self._kind = kind
        self.heading = BlockHeading(glyph, title, note, folded)
        self.body = Vertical(*body, classes="block-body")
        self.body.display = bool(body) and folded is not True

    def compose(self) -> ComposeResult:
        yield self.heading
        yield self.body

    @property
    def folded(self) -> bool | None:
        return self.heading.folded

    @folded.setter
    def folded(self, folded: bool) -> None:
        """Fold or unfold; a block without a fold gets one."""
        self.heading.folded = folded
        self.heading.can_focus = True
        self.body.display = not folded

    def set_kind(self, kind: str) -> None:
        self.remove_class(f"-{self._kind}").add_class(f"-{kind}")
        self._kind = kind

    def on_block_heading_fold(self, message: BlockHeading.Fold) -> None:
        message.stop()
        self.folded = not self.folded
