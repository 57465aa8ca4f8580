"""What became of drafts: in `verified` and `lookup` the AR head keeps a draft or writes its own token."""

from __future__ import annotations

from collections.abc import Set

from model.request import Step


class Drafts:
    """Fed every `Step` of a call. `offered`: draft tokens shown so far; `kept`: those that became final as
    they stood, by the AR head's verdict."""

    def __init__(self) -> None:
        self.offered = 0
        self.kept = 0
        self._open: dict[int, str] = {}

    def new_call(self) -> None:
        """What was open belongs to a call that is over."""
        self._open = {}

    def apply(self, step: Step) -> tuple[Set[int], Set[int]]:
        """The positions whose draft this step kept, and those where it put another token instead."""
        drafted = {token.position: token for token in step.committed if token.position in self._open}
        kept = {at for at, token in drafted.items() if step.head == "ar" and token.text == self._open[at]}
        changed = {at for at, token in drafted.items() if token.text != self._open[at]}
        before, self._open = self._open, {token.position: token.text for token in step.draft}
        self.offered += sum(before.get(at) != text for at, text in self._open.items())
        self.kept += len(kept)
        return kept, changed
