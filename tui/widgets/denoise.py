"""The live view of a decoder: masked cells that become tokens, coloured by head.

Only the end of the canvas that fits is drawn. Whoever feeds the widget redraws it (`refresh_canvas`), so
that a hundred steps a second cost as many drawings as there are frames.
"""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import RenderResult
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from tui.canvas import Canvas, Cell
from tui.text import clean

MASK_GLYPH = "░"
HEAD_STYLES = {"ar": "$text-primary", "diffusion": "$text-accent", "length": "$text-warning"}
KIND_STYLES = {"final": "", "draft": "italic dim", "revised": "underline", "masked": ""}
_TAIL_CELLS = 1200


def cell_style(cell: Cell, newest: int) -> str:
    """Colour by head; italic for what may still change, underlined where a shown token was changed, reversed
    for what a head other than AR made final in the newest step. Without colour these still differ."""
    if cell.kind == "masked":
        return "$foreground-disabled"
    colour = HEAD_STYLES.get(cell.head, "$text")
    fresh = "bold reverse" if cell.step == newest and cell.kind == "final" and cell.head != "ar" else ""
    return " ".join(part for part in (colour, KIND_STYLES[cell.kind], fresh) if part)


class DenoiseView(Widget):
    """Draws a `Canvas`, at most `max_rows` rows of it, after `given`: the text that the model continues."""

    def __init__(self, canvas: Canvas, max_rows: int = 12, given: str = "") -> None:
        super().__init__()
        self.canvas = canvas
        self._given = clean(given)
        self.max_rows = max_rows
        self._text = Content("")
        self._height = 1

    def refresh_canvas(self) -> None:
        """Draw the canvas as it is now; lays out anew only when the number of rows changes."""
        rows = self._height
        self._fit(self.size.width or 80)
        self.refresh(layout=self._height != rows)

    def render(self) -> RenderResult:
        return self._text

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        self._fit(width)
        return self._height

    def _fit(self, width: int) -> None:
        self._text = _last_rows(self._draw(), width, self.max_rows)
        self._height = min(self.max_rows, max(1, _rows(self._text, width)))

    def _draw(self) -> Content:
        cells = self.canvas.cells()[-_TAIL_CELLS:]
        newest = self.canvas.step_index
        parts: list[tuple[str, str]] = [(self._given, "$foreground-muted")]
        for cell in cells:
            text = (
                MASK_GLYPH
                if cell.kind == "masked"
                else clean(cell.text).replace("\N{REPLACEMENT CHARACTER}", "")
            )
            style = cell_style(cell, newest)
            if parts and parts[-1][1] == style:
                parts[-1] = (parts[-1][0] + text, style)
            else:
                parts.append((text, style))
        return Content.assemble(*parts)


def _rows(content: Content, width: int) -> int:
    return sum(
        -(-max(1, cell_len(line.plain)) // max(1, width)) for line in content.split("\n", allow_blank=True)
    )


def _last_rows(content: Content, width: int, rows: int) -> Content:
    """The last lines of `content` that fit in `rows` rows once wrapped at `width`."""
    kept: list[Content] = []
    used = 0
    for line in reversed(content.split("\n", allow_blank=True)):
        used += -(-max(1, cell_len(line.plain)) // max(1, width))
        if used > rows and kept:
            break
        kept.append(line)
    return Content("\n").join(reversed(kept))
