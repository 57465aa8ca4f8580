"""Makes untrusted text safe to print on a terminal."""

from __future__ import annotations

import unicodedata

# Characters that turn the direction of text around and so hide what it says.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """The text with control characters (but newline and tab) and direction marks written as escapes.

    >>> printable("a\\x1b[31m\\n")
    'a\\\\x1b[31m\\n'
    """
    return "".join(map(_shown, text)) if not text.isascii() or not text.isprintable() else text


def _shown(char: str) -> str:
    if char in "\n\t":
        return char
    if char in _BIDI or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
        return char.encode("unicode_escape").decode("ascii")
    return char
