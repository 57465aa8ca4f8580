"""Untrusted text for a terminal: what a candidate printed must not move cursors, set titles or fake our
lines.
"""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")


def plain(text: str, limit: int = 4_000) -> str:
    """`text` with control, format and lone surrogate characters shown as escapes, cut in the middle at
    `limit`.
    """
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}\n[... {len(text) - limit} characters left out ...]\n{text[-half:]}"
    return "".join(_shown(character) for character in text)


def line(text: str, limit: int = 300) -> str:
    """The same on one line."""
    text = " ".join(plain(text, limit * 2).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
