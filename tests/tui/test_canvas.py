"""The canvas follows a decoder: what is final, drafted, masked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from model.request import Decode, GenerateRequest, Step, Token
from model.scripted import ScriptedModel
from tui.canvas import Canvas

REPLIES = st.text(alphabet="ab(): \n=1", min_size=1, max_size=120)


def token(position: int, text: str) -> Token:
    return Token(position, 0, text, 1.0)


def kinds(canvas: Canvas) -> list[tuple[str, str]]:
    return [(cell.text, cell.kind) for cell in canvas.cells()]


@given(REPLIES, st.sampled_from(["ar", "diffusion", "verified"]), st.integers(0, 99))
def test_a_whole_reply_ends_on_the_canvas_whatever_the_order(reply: str, decode: Decode, seed: int) -> None:
    canvas = Canvas()
    request = GenerateRequest(prompt="p", max_tokens=500, decode=decode, seed=seed)
    for step in ScriptedModel([reply]).generate(request):
        canvas.apply(step)
        assert sum(cell.kind == "masked" for cell in canvas.cells()) == canvas.masked
    assert "".join(cell.text for cell in canvas.cells()) == reply
    assert canvas.masked == 0
    assert sum(canvas.heads.values()) == canvas.tokens


def test_masked_cells_stand_in_the_gaps_and_at_the_end() -> None:
    canvas = Canvas()
    canvas.apply(Step(0, committed=(token(0, "a"), token(2, "c")), masked=3, head="diffusion"))
    assert kinds(canvas) == [("a", "final"), ("", "masked"), ("c", "final"), ("", "masked"), ("", "masked")]


def test_a_draft_that_is_not_named_again_is_gone() -> None:
    canvas = Canvas()
    canvas.apply(Step(0, committed=(token(0, "a"),), draft=(token(1, "b"), token(2, "x")), head="diffusion"))
    assert kinds(canvas) == [("a", "final"), ("b", "draft"), ("x", "draft")]
    canvas.apply(Step(1, committed=(token(1, "b"),), head="ar"))
    assert kinds(canvas) == [("a", "final"), ("b", "final")]
    assert canvas.heads == {"diffusion": 1, "ar": 1}


def test_a_revision_is_marked_and_an_unchanged_draft_keeps_its_step() -> None:
    canvas = Canvas()
    canvas.apply(Step(0, draft=(token(0, "a"), token(1, "b")), head="diffusion"))
    canvas.apply(Step(1, draft=(token(0, "a"), token(1, "c")), revised=(token(1, "c"),), head="diffusion"))
    first, second = canvas.cells()
    assert (first.kind, first.step) == ("draft", 0)
    assert (second.text, second.kind, second.step) == ("c", "revised", 1)


def test_drafts_are_the_drafters_and_the_ar_head_keeps_or_overrules_them() -> None:
    canvas = Canvas()
    canvas.apply(Step(0, committed=(token(0, "a"),), draft=(token(1, "b"), token(2, "x"))))
    assert [cell.head for cell in canvas.cells()] == ["ar", "diffusion", "diffusion"]
    canvas.apply(Step(1, committed=(token(1, "b"), token(2, "c"))))
    assert [(cell.text, cell.kind, cell.head) for cell in canvas.cells()] == [
        ("a", "final", "ar"),
        ("b", "final", "diffusion"),
        ("c", "revised", "ar"),
    ]
    assert (canvas.drafts.kept, canvas.drafts.offered) == (1, 2)


def test_the_text_ends_at_the_first_position_that_is_not_final() -> None:
    canvas = Canvas()
    canvas.apply(Step(0, committed=(token(0, "a"), token(1, "b"), token(3, "d")), masked=1, head="diffusion"))
    assert canvas.text == "ab"


def test_the_closing_step_counts_no_forward() -> None:
    canvas = Canvas()
    canvas.apply(Step(0, committed=(token(0, "a"),)))
    canvas.apply(Step(1))
    assert canvas.steps == 1
