"""Text from models and programs, made safe to show: no control sequences, no invisible direction changes."""

from __future__ import annotations

import re

# Whole escape sequences first (CSI, OSC, DCS and the like, two-character ones), then what is left of control
# characters.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without terminal control sequences and control characters, except newline and tab."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", _ESCAPES.sub("", text)))


def one_line(text: str, width: int = 200) -> str:
    """`text` cleaned and joined to one line of at most `width` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def tail(text: str, lines: int = 30, chars: int = 1500) -> str:
    """The end of a long output, cleaned, cut at a line where possible."""
    kept = "\n".join(clean(text).rstrip().split("\n")[-lines:])
    if len(kept) > chars:
        kept = kept[-chars:].partition("\n")[2] or kept[-chars:]
    return kept
