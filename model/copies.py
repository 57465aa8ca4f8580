"""`Copies`: what followed the last tokens when they occurred before, joined with what a head drafts.

    copies = Copies(prompt)
    copies.extend(answer_so_far)
    joined = copies.join(draft, 31)

The two complement each other: on text that is copied a copy goes on for 17 tokens where the head's draft ends
after 11, on new text it is worth nothing (docs/log.md). A copy is trusted when the tokens that occurred
before, in the text and as far as the draft says the same, are TRUSTED or more. Then it is the line that is
verified, and the draft goes on beside it from where they part (model.drafter.Sibling); else it is not used.

Drafts decide how fast an answer comes, never which: model.verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.drafter import Sibling
from model.ngrams import Ngrams
from model.plan import SIBLING

TRUSTED = 8


def trusted(match: int, agreed: int) -> bool:
    """Is a copy the line, when it follows `match` tokens that occurred before and begins with so many that
    are the draft's?"""
    return match > 0 and match + agreed >= TRUSTED


@dataclass(frozen=True, slots=True)
class Joined:
    """ids: the line to verify. copied: is it a copy? beside: the draft from where it parts from the copy."""

    ids: tuple[int, ...]
    copied: bool = False
    beside: Sibling | None = None


class Copies:
    """Of one answer: its prompt and what was committed."""

    def __init__(self, prompt: Iterable[int] = ()) -> None:
        self._text = Ngrams(prompt)

    def extend(self, ids: Iterable[int]) -> None:
        self._text.extend(ids)

    def join(self, draft: Sequence[int], most: int) -> Joined:
        """What may follow the text: up to `most` copied tokens, else the draft."""
        copy = self._text.draft(most)
        pairs = zip(copy.tokens, draft, strict=False)
        agreed = next((i for i, (a, b) in enumerate(pairs) if a != b), min(most, len(draft)))
        if not copy.tokens or not trusted(copy.match, agreed):
            return Joined(tuple(draft))
        parted = tuple(draft[agreed : agreed + SIBLING]) if agreed < most else ()
        return Joined(copy.tokens, True, Sibling(agreed, parted) if parted else None)
