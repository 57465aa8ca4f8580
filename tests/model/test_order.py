"""The order of Python: what a piece is, what must wait for what; any text can be read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from model.order import Kind, Reader, priors


def read(text: str) -> list[tuple[Kind, str]]:
    reader = Reader()
    return [reader.read(piece, final=True) for piece in text.split("|")]


def test_kinds_of_python():
    kinds = read("def| add|(|first|,| second|)|:|\n    |total| =| first| +| second|\n    |return| total")
    assert [kind for kind, _ in kinds] == [
        Kind.KEYWORD, Kind.DEFINITION, Kind.BRACKET, Kind.DEFINITION, Kind.OTHER, Kind.DEFINITION,
        Kind.BRACKET, Kind.BRACKET, Kind.INDENT, Kind.DEFINITION, Kind.OTHER, Kind.USE, Kind.OTHER,
        Kind.USE, Kind.INDENT, Kind.KEYWORD, Kind.USE,
    ]  # fmt: skip
    assert [name for kind, name in kinds if kind == Kind.DEFINITION] == ["add", "first", "second", "total"]


def test_strings_and_comments_have_no_structure():
    assert {kind for kind, _ in read("x|=|'|def| for|'")[3:]} == {Kind.OTHER}
    assert read("# def| foo")[1][0] == Kind.OTHER
    assert read('"""|\ndef| foo|\n"""|\n|def')[-1][0] == Kind.KEYWORD


def test_a_use_waits_for_its_definition():
    pieces = ["\n", "total", " =", " 0", "\n", "print", "(", "total", ")"]
    open_ = [False, True, False, True, False, True, False, True, False]
    _, waits = priors(Reader(), pieces, open_)
    assert waits == [False] * 7 + [True, False]
    known = Reader()
    known.read("total", final=True)
    assert not any(priors(known, pieces, open_)[1])
    open_[1] = False
    assert not any(priors(Reader(), pieces, open_)[1])


@settings(max_examples=100)
@given(st.lists(st.text(max_size=6), max_size=20), st.data())
def test_any_text_can_be_read(pieces, data):
    open_ = data.draw(st.lists(st.booleans(), min_size=len(pieces), max_size=len(pieces)))
    bonus, waits = priors(Reader(), pieces, open_)
    assert len(bonus) == len(waits) == len(pieces)
    assert all(0 <= b < 0.1 for b in bonus)
