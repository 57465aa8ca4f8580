"""No text, however hostile, carries a control sequence or markup to the screen."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.text import clean, clean_line, duration, fit, fit_left, home_path, plural, tail

ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=200)


@given(ANY_TEXT)
def test_clean_leaves_no_control_character_and_can_be_encoded(text: str) -> None:
    shown = clean(text)
    assert all(unicodedata.category(char) not in ("Cc", "Cs") or char == "\n" for char in shown)
    shown.encode("utf-8")


@given(ANY_TEXT)
def test_clean_line_is_one_row(text: str) -> None:
    assert len(clean_line(text).splitlines()) <= 1


@pytest.mark.parametrize(
    "attack", ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "a\rb", "\x07", "\u202egnirts", "\x00"]
)
def test_clean_takes_the_sting_out_of_attacks(attack: str) -> None:
    assert not set(clean(attack)) & {"\x1b", "\x9b", "\r", "\x07", "\u202e", "\x00"}


@given(ANY_TEXT.map(clean_line), st.integers(min_value=-1, max_value=40))
def test_fit_keeps_to_its_width_in_terminal_cells(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) <= max(0, width)
    assert cell_len(fit_left(text, width)) <= max(0, width)


def test_fit_counts_wide_characters_as_two_cells() -> None:
    assert fit("日本語のテスト", 7) == "日本語…"
    assert fit_left("/日本語/テスト", 7) == "…テスト"
    assert fit("short", 10) == "short"


def test_tail_says_how_much_it_left_out() -> None:
    assert tail("a\nb\nc\n", 2) == "… 1 line above\nb\nc"
    assert tail("a\nb", 2) == "a\nb"


def test_figures_read_well() -> None:
    assert (plural(1, "case"), plural(1200, "case")) == ("1 case", "1,200 cases")
    assert (duration(8.34), duration(125)) == ("8.3 s", "2 min 05 s")


def test_home_path_shortens_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_path(tmp_path / "code") == "~/code"
    assert home_path(Path("/etc")) == "/etc"
