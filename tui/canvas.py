"""What a decoder has on its canvas right now: final tokens, visible drafts, masked cells.

Fed one `model.request.Step` at a time, without a screen: the denoise widget draws `cells()`. Autoregressive
decoding is the special case of a canvas that never holds a masked cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.request import Step, Token
from tui.drafts import Drafts

Kind = Literal["final", "draft", "revised", "masked"]
"""revised: a token that was shown and is now another one, final or not."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One position. head: whose token it is; of a draft that the AR head kept, the drafter's. step: the one
    in which it became what it is."""

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
        self.drafts = Drafts()

    @property
    def tokens(self) -> int:
        """Final tokens so far."""
        return len(self._final)

    @property
    def text(self) -> str:
        """What is final, without a gap: up to the first position that is not."""
        parts: list[str] = []
        while (cell := self._final.get(len(parts))) is not None:
            parts.append(cell.text)
        return "".join(parts)

    def apply(self, step: Step) -> None:
        if not (step.committed or step.draft or step.revised or step.masked):
            return  # the closing step that only carries the result
        self.steps += 1
        self.step_index = step.index
        self.masked = step.masked
        self.head = step.head
        kept, changed = self.drafts.apply(step)
        for token in step.committed:
            at = token.position
            if at not in self._final:
                self.heads[step.head] = self.heads.get(step.head, 0) + 1
            kind: Kind = "revised" if at in changed else "final"
            head = "diffusion" if at in kept else step.head
            self._final[at] = Cell(token.text, kind, head, step.index)
        previous = self._open
        self._open = {token.position: _draft(token, previous, step) for token in step.draft}
        for token in step.revised:
            self._open[token.position] = Cell(token.text, "revised", _drafter(step), step.index)

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
    return Cell(token.text, "draft", _drafter(step), step.index)


def _drafter(step: Step) -> str:
    # The AR head never drafts: a step that it decided shows what the diffusion head (or a lookup) proposes.
    return "diffusion" if step.head == "ar" else step.head
