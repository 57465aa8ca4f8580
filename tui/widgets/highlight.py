"""Pygments highlighting in the theme's colours; imported by the first code shown, not by the first paint."""

from __future__ import annotations

from textual.highlight import HighlightTheme, TokenType, highlight

__all__ = ["Plain", "highlight"]

# Pygments' token types are tuples of their names.
_STYLES: dict[TokenType, str] = {
    **HighlightTheme.STYLES,
    ("Name",): "$text",
    ("Name", "Function"): "bold $text-primary",
    ("Name", "Function", "Magic"): "bold $text-primary",
    ("Operator",): "$text",
}


class Plain(HighlightTheme):
    """Textual's colours without the underlines: in a diff they read as marks."""

    STYLES = _STYLES
