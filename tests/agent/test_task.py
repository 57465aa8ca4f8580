"""Task files: what is accepted, and one clear line for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import TaskError
from agent.task import Task, load_task
from verify.request import Case

Make = Callable[..., Task]


def test_everything_a_front_matter_can_say(make_task: Make, workdir: Path) -> None:
    (workdir / "test_slug.py").write_text("")
    (workdir / "cases.json").write_text('[{"args": ["A b"], "expected": "a-b"}]')
    task = make_task(
        "---\nfiles: [slug.py]\ntests: test_slug.py\ntest_cmd: python -m pytest -q 'a b'\ncases: cases.json\n"
        "entry: slugify\nmodel: tiny\nlimits: {max_steps: 5, timeout: 30, wall_s: 2.5}\n---\nWrite slugify.\n"
    )
    assert task.files == ("slug.py",)
    assert task.tests == ("test_slug.py",)
    assert task.test_cmd == ("python", "-m", "pytest", "-q", "a b")
    assert task.cases == (Case(args=("A b",), expected="a-b"),)
    assert (task.entry, task.model, task.text) == ("slugify", "tiny", "Write slugify.")
    assert (task.limits.max_steps, task.limits.timeout, task.limits.max_tokens) == (5, 30, None)
    assert task.check_limits == {"wall_s": 2.5}
    assert task.name == "work"


def test_plain_markdown_is_a_task(make_task: Make) -> None:
    task = make_task("Write a program.\n")
    assert (task.files, task.has_tests, task.entry) == (("solution.py",), False, None)


def test_tests_alone_mean_pytest(make_task: Make, workdir: Path) -> None:
    (workdir / "test_a.py").write_text("")
    assert make_task("---\ntests: [test_a.py]\n---\nDo.").test_cmd == (
        "python",
        "-m",
        "pytest",
        "-q",
        "test_a.py",
    )


def test_a_stub_in_the_text_is_the_scaffold_and_its_examples_are_cases(make_task: Make) -> None:
    task = make_task(
        'Write it.\n\n```python\ndef double(x: int) -> int:\n    """Twice x.\n\n'
        '    >>> double(2)\n    4\n    """\n```\n'
        "Also `double(0) == 0`.\n"
    )
    assert task.scaffold is not None
    assert task.scaffold.text.endswith('    4\n    """\n')
    assert task.entry == "double"
    assert task.cases == (Case(args=(2,), expected=4), Case(args=(0,), expected=0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\nfile: a.py\n---\nDo.", "unknown key 'file'; did you mean 'files'?"),
        ("---\nlimits: {max_step: 3}\n---\nDo.", "unknown key 'limits.max_step'; did you mean 'max_steps'?"),
        ("---\nzzz: 1\n---\nDo.", "unknown key 'zzz'; known keys: files, tests"),
        ("---\nfiles: [a.py\n---\nDo.", "front matter: line 3:"),
        ("---\nfiles: [a.py]\nDo.", "no closing '---'"),
        ("---\n- a\n---\nDo.", "must be keys and values"),
        ("---\nlimits: {max_steps: many}\n---\nDo.", "limits.max_steps is 'many', a whole number is wanted"),
        (
            "---\nlimits: {max_steps: 0}\n---\nDo.",
            "limits.max_steps is 0, at least 1 is wanted",
        ),
        ("---\nentry: 'not a name'\n---\nDo.", "entry is 'not a name', a function's name is wanted"),
        ("---\nfiles: 3\n---\nDo.", "files is 3, a list is wanted"),
        ("---\nlimits: [1]\n---\nDo.", "limits is [1], keys and values is wanted"),
        ("---\nlimits: {timeout: .nan}\n---\nDo.", "limits.timeout is nan, more than 0.0 is wanted"),
        ("---\nlimits: {wall_s: 1.0e+12}\n---\nDo.", "the limit wall_s is 1000000000000.0"),
        ("---\nfiles: a.py\nfiles: b.py\n---\nDo.", "line 3: the key 'files' comes twice"),
        ("---\nfiles: [../a.py]\n---\nDo.", "'../a.py' must be a path inside the workdir"),
        ("---\nfiles: [/etc/passwd]\n---\nDo.", "'/etc/passwd' must be a path inside the workdir"),
        ("---\ntests: [test_no.py]\n---\nDo.", "tests: test_no.py does not exist in "),
        ("---\ncases: no.json\nentry: f\n---\nDo.", "no.json: No such file"),
        ("---\ncases: []\nentry: f\n---\nDo.", "no cases; a check without a test cannot pass"),
        ("---\ncases: [{args: [1], expected: 1}]\n---\nDo.", "cases need 'entry'"),
        (
            "---\ncases: [{args: [1]}]\nentry: f\n---\nDo.",
            "case 0: exactly one of expected, raises, oracle is wanted",
        ),
        (
            "---\ncases: [{arg: [1], expected: 1}]\nentry: f\n---\nDo.",
            "case 0: unknown key 'arg'; known are args",
        ),
        ("---\ntest_cmd: ''\n---\nDo.", "test_cmd is empty"),
        ("---\ntest_cmd: 'echo \"'\n---\nDo.", "test_cmd: no closing quotation"),
        ("---\nfiles: [a.py]\n---\n", "no text that says what to do"),
        ("", "no text that says what to do"),
    ],
)
def test_bad_task_files(make_task: Make, text: str, expected: str) -> None:
    with pytest.raises(TaskError) as caught:
        make_task(text)
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_missing_folder_and_binary_task_files(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such task file"):
        load_task(tmp_path / "no.md")
    with pytest.raises(TaskError, match="not a file"):
        load_task(tmp_path)
    for data in (b"\xff\xfe\x00binary", b"text\0text", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / "binary.md").write_bytes(data)
        with pytest.raises(TaskError, match="not a text file"):
            load_task(tmp_path / "binary.md")
    (tmp_path / "large.md").write_bytes(b"a" * 300_000)
    with pytest.raises(TaskError, match="at most"):
        load_task(tmp_path / "large.md")


def test_a_workdir_that_is_no_folder(make_task: Make, workdir: Path) -> None:
    make_task("Do.")
    with pytest.raises(TaskError, match="no such folder to work on"):
        load_task(workdir / "task.md", workdir=workdir / "none")


def test_files_and_tests_follow_the_workdir_and_cases_the_task(
    make_task: Make, workdir: Path, tmp_path: Path
) -> None:
    (workdir / "cases.json").write_text(json.dumps([{"args": [1], "expected": 1}]))
    make_task("---\ncases: cases.json\nentry: f\n---\nDo.")
    other = tmp_path / "other"
    other.mkdir()
    task = load_task(workdir / "task.md", workdir=other)
    assert task.workdir == other
    assert len(task.cases) == 1


def test_typed_tasks_find_their_files(workdir: Path) -> None:
    (workdir / "calc.py").write_text("")
    assert Task.from_text("Fix calc.py please", workdir).files == ("calc.py",)
    assert Task.from_text("Write slugify in slug.py", workdir).files == ("slug.py",)
    task = Task.from_text("Write add(a, b): add(1, 2) == 3, add(0, 0) == 0", workdir)
    assert task.files == ("solution.py",)
    assert [c.expected for c in task.cases] == [3, 0]
    with pytest.raises(TaskError, match="no text"):
        Task.from_text(" ", workdir)


@given(st.text(max_size=200))
def test_any_text_is_a_task_or_a_task_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "task.md"
    path.write_text(text, "utf-8", errors="replace")
    try:
        task = load_task(path)
    except TaskError:
        return
    assert task.text.strip()
