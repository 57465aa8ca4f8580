"""What a decoder has on its canvas right now: final tokens, visible drafts, masked cells.

Fed one `model.request.Step` at a time, without a screen: the denoise widget draws `cells()`. Autoregressive
decoding is the special case of a canvas that never holds a masked cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.request import Step, Token

Kind = Literal["final", "draft", "revised", "masked"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One position. `fresh`: it became what it is in the newest step."""

    text: str
    kind: Kind
    head: str = ""
    step: int = -1


class Canvas:
    """The state of one model call.

    `Step.draft` is read as the whole set of drafts visible after the step: a draft that is not named again
    was rejected or masked again.
    """

    def __init__(self) -> None:
        self._final: dict[int, Cell] = {}
        self._open: dict[int, Cell] = {}
        self.masked = 0
        self.steps = 0
        self.head = ""
        self.step_index = -1
        self.heads: dict[str, int] = {}

    @property
    def tokens(self) -> int:
        """Final tokens so far."""
        return len(self._final)

    def apply(self, step: Step) -> None:
        if not (step.committed or step.draft or step.revised or step.masked):
            return  # the closing step that only carries the result
        self.steps += 1
        self.step_index = step.index
        self.masked = step.masked
        self.head = step.head
        for token in step.committed:
            if token.position not in self._final:
                self.heads[step.head] = self.heads.get(step.head, 0) + 1
            self._final[token.position] = Cell(token.text, "final", step.head, step.index)
        previous = self._open
        self._open = {token.position: _draft(token, previous, step) for token in step.draft}
        for token in step.revised:
            self._open[token.position] = Cell(token.text, "revised", step.head, step.index)

    def cells(self) -> list[Cell]:
        """All positions in order. Masked ones fill the gaps between the known; the rest stand at the end."""
        known = {**self._open, **self._final}
        end = max(known, default=-1) + 1
        row = [known.get(position, _MASKED) for position in range(end)]
        gaps = end - len(known)
        return row + [_MASKED] * max(0, self.masked - gaps)


_MASKED = Cell("", "masked")


def _draft(token: Token, previous: dict[int, Cell], step: Step) -> Cell:
    old = previous.get(token.position)
    if old is not None and old.text == token.text:
        return old
    return Cell(token.text, "draft", step.head, step.index)
