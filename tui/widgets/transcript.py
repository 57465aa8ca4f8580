"""The transcript: events become blocks, the newest at the bottom, where it stays until the user scrolls."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from agent.events import (
    Decoded,
    Done,
    Edited,
    Event,
    FormatFailed,
    ModelAnswered,
    ModelCalled,
    Planned,
    Repairing,
    Restored,
    Scaffolded,
    Verified,
)
from tui.widgets.block import Block
from tui.widgets.call import CallBlock
from tui.widgets.diff import DiffBlock
from tui.widgets.notes import DoneBlock, FormatBlock, RepairBlock, RestoredBlock, ScaffoldBlock
from tui.widgets.verdict import VerdictBlock

# Blocks beyond this are dropped from the top: a long session must not slow down the screen. The
# trajectory on disk keeps everything.
KEEP_BLOCKS = 300


class Transcript(VerticalScroll, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("g", "scroll_home", "Top", show=False),
        Binding("G", "scroll_end", "Bottom", show=False),
    ]

    def __init__(self, *children: Widget, live: bool = True) -> None:
        super().__init__(*children, id="transcript")
        self.live = live
        self._call: CallBlock | None = None
        self._plan: CallBlock | None = None
        self._answered = False

    def on_mount(self) -> None:
        self.anchor()

    def add(self, block: Widget) -> None:
        # The layout counts a widget from the start, the painter only once it is mounted: shown at once, it
        # would scroll what is there away and leave the screen blank for a frame or more.
        block.display = False
        self.mount(block)
        block.call_later(setattr, block, "display", True)
        for old in list(self.children)[:-KEEP_BLOCKS]:
            old.remove()

    def apply(self, event: Event) -> None:
        """Show one event. Decoding steps are only noted; `show_canvas` draws them."""
        match event:
            case ModelCalled():
                rows = 12 if self.size.height > 24 else 8
                self._call = CallBlock(event, rows, live=self.live, first=not self._answered)
                if event.phase == "plan":
                    self._plan = self._call
                self.add(self._call)
            case Decoded():
                if self._call is not None:
                    self._call.apply(event.step)
            case ModelAnswered():
                self._answered = True
                if self._call is not None:
                    self._call.finish(event)
            case Planned():
                if self._plan is not None:
                    self._plan.show_plan(event.text)
            case Scaffolded():
                if self._call is not None and self._call.phase == "scaffold":
                    self._call.folded = True
                self.add(ScaffoldBlock(event))
            case Edited():
                # The diff shows the same code: one of the two is enough.
                if self._call is not None:
                    self._call.folded = True
                self.add(DiffBlock(event))
            case FormatFailed():
                self.add(FormatBlock(event))
            case Verified():
                self.add(VerdictBlock(event))
            case Repairing():
                self.add(RepairBlock(event))
            case Restored():
                self.add(RestoredBlock(event))
            case Done():
                self.stop()
                self.add(DoneBlock(event))
            case _:
                pass

    def show_canvas(self) -> None:
        """Draw what the newest call has decoded so far."""
        if self._call is not None and self._call.is_live:
            self._call.show()

    def stop(self) -> None:
        """The run is over: a call that is still open gets no answer any more."""
        if self._call is not None:
            self._call.stop()
        self._call = self._plan = None

    def clear(self) -> None:
        """Drop all blocks but the call that is still decoding."""
        for block in self.children:
            if self._call is None or block is not self._call or not self._call.is_live:
                block.remove()

    def toggle_details(self) -> None:
        """Fold every foldable block, or unfold all when all are folded."""
        blocks = [block for block in self.query(Block) if block.folded is not None]
        fold = any(not block.folded for block in blocks)
        for block in blocks:
            block.folded = fold
