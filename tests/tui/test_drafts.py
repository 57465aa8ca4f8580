"""Drafts: how many were shown, and how many the AR head kept."""

from __future__ import annotations

from model.request import Step, Token
from tui.drafts import Drafts


def tokens(**texts: str) -> tuple[Token, ...]:
    return tuple(Token(int(at[1:]), 0, text, 1.0) for at, text in texts.items())


def test_a_draft_is_kept_or_overruled() -> None:
    drafts = Drafts()
    assert drafts.apply(Step(0, tokens(p0="def"), draft=tokens(p1=" f", p2="(x"))) == (set(), set())
    assert drafts.apply(Step(1, tokens(p1=" f", p2="("), draft=tokens(p3="a"))) == ({1}, {2})
    assert (drafts.kept, drafts.offered) == (1, 3)


def test_a_draft_that_stays_is_counted_once() -> None:
    drafts = Drafts()
    drafts.apply(Step(0, draft=tokens(p0="a", p1="b"), head="diffusion"))
    drafts.apply(Step(1, draft=tokens(p0="a", p1="c"), head="diffusion"))
    assert drafts.offered == 3


def test_only_the_ar_head_keeps_drafts() -> None:
    drafts = Drafts()
    drafts.apply(Step(0, draft=tokens(p0="a"), head="diffusion"))
    assert drafts.apply(Step(1, tokens(p0="a"), head="diffusion")) == (set(), set())
    assert drafts.kept == 0


def test_the_drafts_of_a_call_are_not_those_of_the_next() -> None:
    drafts = Drafts()
    drafts.apply(Step(0, draft=tokens(p0="a")))
    drafts.new_call()
    assert drafts.apply(Step(0, tokens(p0="a"))) == (set(), set())
