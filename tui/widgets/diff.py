"""The diff of one changed file."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from agent.events import Edited
from tui.text import clean_line
from tui.widgets.block import Block
from tui.widgets.code import diff_counts, render_diff


class DiffView(Widget):
    """Draws a unified diff at the width it is given."""

    def __init__(self, diff: str, path: str) -> None:
        super().__init__()
        self._diff = diff
        self._path = path
        self._drawn: tuple[int, Content] = (0, Content(""))

    def _draw(self, width: int) -> Content:
        if self._drawn[0] != width:
            self._drawn = (width, render_diff(self._diff, self._path, width))
        return self._drawn[1]

    def render(self) -> RenderResult:
        return self._draw(self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._draw(width).plain.count("\n") + 1


class DiffBlock(Block):
    def __init__(self, event: Edited) -> None:
        added, removed = diff_counts(event.diff)
        verb = "created" if event.created else "changed"
        super().__init__(
            "±",
            f"{clean_line(event.path)}  {verb}",
            DiffView(event.diff, event.path),
            note=f"+{added} -{removed}",
            kind="diff",
            folded=False,
        )
