"""Fenced-block tool calls: lenient in form, strict in what they may write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import EditError
from agent.parse import SearchReplace, WholeFile, apply, parse_edits

CODE = "def f(x):\n    return x\n"
ONE = ("slug.py",)
TWO = ("slug.py", "lib/util.py")


@pytest.mark.parametrize(
    "answer",
    [
        f"slug.py\n```python\n{CODE}```",
        f"Here you are:\n\n**slug.py**\n\n```python\n{CODE}```\nDone.",
        f"### `slug.py`:\n```\n{CODE}```",
        f"File: slug.py\n```py\n{CODE}```",
        f"```python slug.py\n{CODE}```",
        f"```python:slug.py\n{CODE}```",
        f'```python title="slug.py"\n{CODE}```',
        f"```slug.py\n{CODE}```",
        f"```python\n# slug.py\n{CODE}```",
        f"```python\n# file: slug.py\n{CODE}```",
        f"~~~python slug.py\n{CODE}~~~",
        f"slug.py\n```python\n{CODE}",  # the last fence is missing
    ],
)
def test_names_where_models_put_them(answer: str) -> None:
    (edit,) = parse_edits(answer, TWO)
    assert edit.path == "slug.py"
    assert apply(edit, None).rstrip("\n") == CODE.rstrip("\n")


@pytest.mark.parametrize(
    "answer", [f"```python\n{CODE}```", f"```\n{CODE}```", f"Sure!\n```py\n{CODE}", CODE]
)
def test_a_block_without_a_name_is_the_only_file(answer: str) -> None:
    (edit,) = parse_edits(answer, ONE)
    assert edit.path == "slug.py"
    assert apply(edit, "old").rstrip() == CODE.rstrip()


def test_the_block_that_defines_the_entry_wins_over_examples() -> None:
    usage = "print(f(1))\n" * 10
    answer = f"```python\n{usage}```\n\n```python\n{CODE}```\n```bash\npython slug.py\n```"
    assert parse_edits(answer, ONE, "f") == (WholeFile("slug.py", CODE),)


def test_several_files() -> None:
    answer = f"slug.py\n```python\n{CODE}```\nutil.py\n```python\nA = 1\n```"
    assert [e.path for e in parse_edits(answer, TWO)] == ["slug.py", "lib/util.py"]


@pytest.mark.parametrize(
    ("answer", "files", "reason"),
    [
        ("I cannot do that.", ONE, "No code block"),
        ("", ONE, "No code block"),
        (f"```python\n{CODE}```", TWO, "does not say which file"),
        (f"test_slug.py\n```python\n{CODE}```", ONE, "only slug.py may be written"),
        (f"../slug2.py\n```python\n{CODE}```", ONE, "only slug.py may be written"),
        ("```bash\nrm -rf /\n```", ONE, "No code block for slug.py"),
        ("```python\n```", ONE, "No code block for slug.py"),
        ("```python slug.py\n<<<<<<< SEARCH\na\n```", ONE, "no '=======' line"),
        ("```python slug.py\n<<<<<<< SEARCH\na\n=======\nb\n```", ONE, "no '>>>>>>> REPLACE' line"),
        ("x" * 300_000, ONE, "longer than"),
    ],
)
def test_unusable_answers_say_why(answer: str, files: tuple[str, ...], reason: str) -> None:
    with pytest.raises(EditError, match=reason):
        parse_edits(answer, files)


def test_search_replace() -> None:
    answer = (
        "slug.py\n```python\n<<<<<<< SEARCH\n    return x\n=======\n    return x + 1\n>>>>>>> REPLACE\n```"
    )
    (edit,) = parse_edits(answer, ONE)
    assert edit == SearchReplace("slug.py", "    return x\n", "    return x + 1\n")
    assert apply(edit, CODE) == "def f(x):\n    return x + 1\n"


def test_search_without_fence_and_with_odd_markers() -> None:
    answer = "<<<<< search\nreturn x\n=====\nreturn 2 * x\n>>>>>\n"
    (edit,) = parse_edits(answer, ONE)
    # The indentation the model lost is put back.
    assert apply(edit, CODE) == "def f(x):\n    return 2 * x\n"


def test_search_that_is_not_there_or_not_unique() -> None:
    with pytest.raises(EditError, match=r"does not occur in a\.py"):
        apply(SearchReplace("a.py", "nothing\n", "x\n"), CODE)
    with pytest.raises(EditError, match="occurs 2 times"):
        apply(SearchReplace("a.py", "y\n", "x\n"), "y\ny\n")
    with pytest.raises(EditError, match="is empty"):
        apply(SearchReplace("a.py", "", "x\n"), CODE)
    assert apply(SearchReplace("a.py", "", "x\n"), None) == "x\n"


LINES = st.lists(st.text(alphabet="abc ()=:\t", max_size=12), min_size=1, max_size=8)


@given(LINES)
def test_a_whole_file_round_trips(lines: list[str]) -> None:
    text = "".join(line + "\n" for line in lines)
    answer = f"slug.py\n```python\n{text}```"
    assert parse_edits(answer, ONE) == (WholeFile("slug.py", text),)


@given(LINES, st.data())
def test_an_exact_search_replaces_exactly_its_lines(lines: list[str], data: st.DataObject) -> None:
    text = "".join(f"{i}{line}\n" for i, line in enumerate(lines))
    at = data.draw(st.integers(0, len(lines) - 1))
    search = f"{at}{lines[at]}\n"
    edit = SearchReplace("a.py", search, "new\n")
    expected = "".join("new\n" if i == at else f"{i}{line}\n" for i, line in enumerate(lines))
    assert apply(edit, text) == expected


PIECES = st.sampled_from(
    ["```", "```python", "~~~", "slug.py", "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE", "x = 1"]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=10)), max_size=20))
def test_any_answer_gives_edits_of_allowed_files_or_an_error(lines: list[str]) -> None:
    try:
        edits = parse_edits("\n".join(lines), TWO)
    except EditError:
        return
    assert edits
    assert {e.path for e in edits} <= set(TWO)
