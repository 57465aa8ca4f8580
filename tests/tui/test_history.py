from __future__ import annotations

from pathlib import Path

from tui.history import KEEP, PromptHistory


def test_walks_back_and_forth_and_keeps_what_was_being_typed() -> None:
    history = PromptHistory()
    for prompt in ("one", "two", "two"):
        history.add(prompt)
    assert len(history) == 2
    assert [history.previous("dra"), history.previous("two"), history.previous("one")] == ["two", "one", None]
    assert [history.next(), history.next(), history.next()] == ["two", "dra", None]


def test_survives_the_session(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "history.jsonl"
    PromptHistory(path).add('two\nlines "quoted" \u202e')
    assert PromptHistory(path).previous("") == 'two\nlines "quoted" \u202e'


def test_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = PromptHistory(path)
    for number in range(KEEP + 5):
        history.add(str(number))
    assert len(PromptHistory(path)) == KEEP


def test_a_damaged_file_costs_the_history_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('"fine"\n{broken\n')
    history = PromptHistory(path)
    assert "not read" in history.problem
    history.add("new")
    assert path.read_text() == '"fine"\n{broken\n'


def test_an_unwritable_folder_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = PromptHistory(tmp_path / "file" / "history.jsonl")
    history.add("x")
    assert history.problem
    assert history.previous("") == "x"
