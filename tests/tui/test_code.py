"""Diffs keep every line and its number; answers keep every character that may be shown."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.code import MAX_DIFF_LINES, answer, diff_counts, parse_diff, render_diff

LINES = st.lists(st.text(alphabet="ab +-@", max_size=6), max_size=12)


def unified(old: list[str], new: list[str]) -> str:
    return "\n".join(difflib.unified_diff(old, new, "a/f.py", "b/f.py", lineterm="", n=2)) + "\n"


@given(LINES, LINES)
def test_every_changed_line_is_there_with_its_number(old: list[str], new: list[str]) -> None:
    lines = parse_diff(unified(old, new))
    for line in lines:
        source = old if line.kind == "-" else new
        if line.number is not None:
            assert source[line.number - 1] == line.text
    matcher = difflib.SequenceMatcher(None, old, new)
    changed = [op for op in matcher.get_opcodes() if op[0] != "equal"]
    assert diff_counts(unified(old, new)) == (
        sum(op[4] - op[3] for op in changed),
        sum(op[2] - op[1] for op in changed),
    )


@given(LINES, LINES, st.integers(20, 100))
def test_rows_fill_the_width_exactly(old: list[str], new: list[str], width: int) -> None:
    rendered = render_diff(unified(old, new), "f.py", width)
    rows = rendered.plain.split("\n")
    kinds = [line.kind for line in parse_diff(unified(old, new))]
    assert all(len(row) == width for row, kind in zip(rows, kinds, strict=False) if kind != "gap")


def test_a_long_diff_is_cut_and_says_so() -> None:
    new = [f"x = {n}" for n in range(MAX_DIFF_LINES + 7)]
    rendered = render_diff(unified([], new), "f.py", 60)
    assert rendered.plain.count("\n") == MAX_DIFF_LINES
    assert "7 more lines" in rendered.plain


def test_wide_characters_are_cut_at_the_cell() -> None:
    rendered = render_diff(unified([], ["# " + "語" * 50]), "f.py", 40)
    assert rendered.cell_length == 40


def test_markup_and_escapes_in_a_diff_stay_text() -> None:
    plain = render_diff(unified([], ["[bold red]x[/] \x1b[31m"]), "[b].py", 60).plain
    assert "[bold red]x[/]" in plain
    assert "\x1b" not in plain


@given(st.text(alphabet="ab`~\n #[]/", max_size=80))
def test_an_answer_keeps_its_text(text: str) -> None:
    assert answer(text).plain.split("\n") == text.split("\n")
