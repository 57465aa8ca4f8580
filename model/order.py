"""A structural prior for the order in which a block of Python is committed.

An incremental tokenizer reads the visible text and the draft's best guesses and gives each position a kind.
Structure comes first: indentation, keywords, brackets and the names that a line defines; a name is used
only after it is defined. The prior is added to a position's confidence before the commit rule looks at it;
a use whose definition is still open waits, unless nothing else can be committed (Seed Diffusion 2508.02193
trains such an order; here it is imposed while decoding).

Text that is not Python, and tokens that cut through a word, simply get little structure: the prior is then
zero.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

_WORD = re.compile(r"[A-Za-z_]\w*")
_BRACKETS = frozenset("()[]{}:")
_BINDS_AFTER = frozenset({"def", "class", "for", "import", "as", "global", "nonlocal"})
_ALWAYS_KNOWN = frozenset(dir(__builtins__)) | {"self", "cls"} | frozenset(keyword.kwlist)


class Kind(IntEnum):
    OTHER = 0
    INDENT = 1
    KEYWORD = 2
    BRACKET = 3
    DEFINITION = 4
    USE = 5


PRIOR = {
    Kind.OTHER: 0.0,
    Kind.INDENT: 0.08,
    Kind.KEYWORD: 0.06,
    Kind.BRACKET: 0.05,
    Kind.DEFINITION: 0.05,
    Kind.USE: 0.0,
}


@dataclass
class Reader:
    """Reads pieces of Python from left to right. `known`: names defined so far by text that is final."""

    known: set[str] = field(default_factory=set)
    _line: str = ""
    _in_string: str = ""

    def copy(self) -> Reader:
        return Reader(set(self.known), self._line, self._in_string)

    def read(self, piece: str, final: bool) -> tuple[Kind, str]:
        """The kind of a piece and the name it holds ('' for none); names are remembered when it is final."""
        kind, name = self._classify(piece)
        if final and kind == Kind.DEFINITION and name:
            self.known.add(name)
        self._advance(piece)
        return kind, name

    def _classify(self, piece: str) -> tuple[Kind, str]:
        if self._in_string:
            return Kind.OTHER, ""
        if "\n" in piece or (not self._line.strip() and piece and not piece.strip()):
            return Kind.INDENT, ""
        word = _WORD.search(piece)
        if word is None:
            return (Kind.BRACKET if _BRACKETS & set(piece) else Kind.OTHER), ""
        name = word[0]
        before = self._line + piece[: word.start()]
        if "#" in before:
            return Kind.OTHER, ""
        if keyword.iskeyword(name):
            return Kind.KEYWORD, ""
        words = _WORD.findall(before)
        if words and words[-1] in _BINDS_AFTER and before.rstrip().endswith(words[-1]):
            return Kind.DEFINITION, name
        stripped = before.strip()
        # The first name of a line may be the target of an assignment; parameters stand between def and its
        # colon.
        if not stripped or re.fullmatch(r"[\w\s,]*,", stripped):
            return Kind.DEFINITION, name
        if words and words[0] in {"def", "lambda"} and stripped[-1:] in "(,*":
            return Kind.DEFINITION, name
        return Kind.USE, name

    def _advance(self, piece: str) -> None:
        at = 0
        while at < len(piece):
            if self._in_string:
                end = piece.find(self._in_string, at)
                if end < 0:
                    if len(self._in_string) == 1 and "\n" in piece[at:]:
                        self._in_string = ""  # an unclosed quote ends with its line
                        continue
                    self._line += piece[at:]
                    break
                self._line += piece[at : end + len(self._in_string)]
                at = end + len(self._in_string)
                self._in_string = ""
                continue
            quote = next((q for q in ('"""', "'''", '"', "'") if piece.startswith(q, at)), "")
            if quote and "#" not in self._line:
                self._in_string = quote
                self._line += quote
                at += len(quote)
                continue
            self._line = "" if piece[at] == "\n" else self._line + piece[at]
            at += 1


def priors(reader: Reader, pieces: Sequence[str], open_: Sequence[bool]) -> tuple[list[float], list[bool]]:
    """For each piece of a block: what its kind adds to its confidence, and whether it must wait.

    reader: has read everything before the block. open_: is the position still undecided? A use waits when
    the only definition of its name is an open position of this block.
    """
    reader = reader.copy()
    kinds = [reader.read(piece, final=not undecided) for piece, undecided in zip(pieces, open_, strict=True)]
    pending = {
        name
        for (kind, name), undecided in zip(kinds, open_, strict=True)
        if undecided and kind == Kind.DEFINITION and name
    }
    waits = [
        kind == Kind.USE and name in pending and name not in reader.known and name not in _ALWAYS_KNOWN
        for kind, name in kinds
    ]
    return [PRIOR[kind] for kind, _ in kinds], waits
