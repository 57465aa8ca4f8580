"""What a person asks for: a Markdown file with optional YAML front matter, read into a validated `Task`.

    ---
    files: [slug.py]            # what the model may write, relative to the workdir (default: solution.py)
    cases: cases.json           # function cases, a file beside the task or the list itself
    entry: slugify              # the function the cases call (default: the stub in the text)
    tests: [test_slug.py]       # test files in the workdir: the model may read them, never write them
    test_cmd: python -m pytest  # how to run them (default: pytest on `tests`); no shell
    model: qwen2.5-coder-0.5b
    limits: {max_steps: 12, max_repairs: 3, max_tokens: 4096, timeout: 600, wall_s: 5}
    ---
    Write `slugify(text)` ...

The text may hold a Python block with a stub (signature and docstring): it becomes the scaffold. A task
without `cases`, `tests` or `test_cmd` is judged by the examples in its text (`>>> f(1)` or
`f(1) == 2`), if there are any.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from agent.errors import TaskError
from agent.examples import cases_in_text
from agent.frontmatter import FrontMatter, split, validate
from agent.scaffold import Scaffold, scaffold_in_text
from verify.cases import CasesError, parse_cases, read_cases
from verify.limits import Limits
from verify.request import Case, Lang

MAX_TASK_BYTES = 256 * 1024
_LANGS: dict[str, Lang] = {".py": "python", ".bend": "bend"}


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Caps for one run; reaching one ends it with exit code 3. None: the default of `agent.options.Options`.

    max_steps: model calls. max_repairs: repairs after the first answer. max_tokens: generated tokens of the
    whole run. timeout: seconds of the whole run.
    """

    max_steps: int | None = None
    max_repairs: int | None = None
    max_tokens: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A validated task. Paths in `files` and `tests` are relative to `workdir` and inside it.

    `source` says where the task came from; anything but `user` (a benchmark's name) is never trained on.
    `check_limits` None: the default of the kind of check.
    """

    text: str
    workdir: Path
    name: str = "task"
    files: tuple[str, ...] = ("solution.py",)
    tests: tuple[str, ...] = ()
    test_cmd: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    entry: str | None = None
    scaffold: Scaffold | None = None
    model: str | None = None
    limits: RunLimits = RunLimits()
    check_limits: dict[str, Any] = dataclasses.field(default_factory=dict)
    source: str = "user"

    @property
    def lang(self) -> Lang:
        return _LANGS.get(PurePosixPath(self.files[0]).suffix, "python")

    @property
    def has_tests(self) -> bool:
        return bool(self.cases or self.test_cmd)

    @classmethod
    def from_text(cls, text: str, workdir: Path, *, name: str = "task") -> Task:
        """A task typed by a person: files of the workdir named in the text are what it is about, else
        the one new file it names.

        Raises TaskError when the text is empty or the workdir is no folder.
        """
        workdir = _folder(workdir)
        named = dict.fromkeys(re.findall(r"[\w./-]+\.(?:py|bend)\b", text))
        named_files = [n for n in named if _is_inside(n) and (workdir / n).is_file()]
        tests = tuple(n for n in named_files if PurePosixPath(n).name.startswith("test_"))
        files = tuple(n for n in named_files if n not in tests)
        new = [n for n in named if _is_inside(n) and n not in named_files]
        if not files and len(new) == 1 and not PurePosixPath(new[0]).name.startswith("test_"):
            files = (new[0],)
        return _build(FrontMatter(files=list(files) or None, tests=list(tests)), text, workdir, None, name)


def load_task(path: Path | str, *, workdir: Path | str | None = None, test_cmd: str | None = None) -> Task:
    """Read and validate a task file.

    workdir: the folder the run works on (default: the task file's own). test_cmd: replaces the task's.
    Raises TaskError, one line, for anything that cannot be used; nothing is written.
    """
    path = Path(path)
    front, text = split(_read_text(path), path)
    keys = validate(front, path)
    if test_cmd is not None:
        keys.test_cmd = test_cmd
    return _build(keys, text, _folder(Path(workdir) if workdir else path.parent), path, _name(path))


def _read_text(path: Path) -> str:
    if not path.exists():
        raise TaskError(f"{path}: no such task file")
    if not path.is_file():
        raise TaskError(f"{path}: not a file; give a Markdown task file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TaskError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > MAX_TASK_BYTES:
        raise TaskError(f"{path}: {len(data)} bytes; a task file has at most {MAX_TASK_BYTES}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{path}: not a text file (UTF-8 Markdown expected, byte {error.start} is not)"
        ) from error
    if "\0" in text:
        raise TaskError(f"{path}: not a text file (it holds NUL bytes)")
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _build(keys: FrontMatter, text: str, workdir: Path, path: Path | None, name: str) -> Task:
    where = str(path) if path else "task"
    if not text.strip():
        raise TaskError(f"{where}: there is no text that says what to do")
    files = tuple(_relative(f, where, "files") for f in _as_list(keys.files)) or ("solution.py",)
    tests = tuple(_relative(t, where, "tests") for t in _as_list(keys.tests))
    for test in tests:
        if not (workdir / test).exists():
            raise TaskError(f"{where}: tests: {test} does not exist in {workdir}")
    for file in files:
        if file in tests:
            raise TaskError(f"{where}: {file} is in both files and tests; the model may not write its tests")
    try:
        command = shlex.split(keys.test_cmd) if isinstance(keys.test_cmd, str) else list(keys.test_cmd or ())
    except ValueError as error:
        raise TaskError(f"{where}: test_cmd: {str(error).lower()}") from error
    if keys.test_cmd is not None and not command:
        raise TaskError(f"{where}: test_cmd is empty")
    if tests and not command:
        command = ["python", "-m", "pytest", "-q", *tests]
    scaffold = scaffold_in_text(text)
    entry = keys.entry or (scaffold.entry if scaffold else None)
    if scaffold and keys.entry and scaffold.entry != keys.entry:
        scaffold = None
    cases = _cases(keys.cases, path, where)
    if not cases and not command:
        entry, cases = cases_in_text(text, entry)
    if cases and not entry:
        raise TaskError(f"{where}: cases need 'entry', the name of the function they call")
    limits = keys.limits.model_dump(exclude_none=True)
    run = {f.name: limits.pop(f.name, None) for f in dataclasses.fields(RunLimits)}
    try:
        Limits(**limits)
    except ValueError as error:
        raise TaskError(f"{where}: {error}") from error
    return Task(
        text=text.strip(),
        workdir=workdir,
        name=name,
        files=files,
        tests=tests,
        test_cmd=tuple(command),
        cases=cases,
        entry=entry,
        scaffold=scaffold,
        model=keys.model,
        limits=RunLimits(**run),
        check_limits=limits,
    )


def _name(path: Path) -> str:
    """A file called task.md goes by the name of its folder."""
    return path.resolve().parent.name if path.stem.lower() == "task" else path.stem


def _as_list(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _folder(path: Path) -> Path:
    if not path.exists():
        raise TaskError(f"{path}: there is no such folder to work on; make it first (mkdir -p)")
    if not path.is_dir():
        raise TaskError(f"{path}: the workdir is not a folder")
    if not os.access(path, os.W_OK | os.X_OK):
        raise TaskError(f"{path}: the workdir cannot be written; give another with --workdir")
    return path.resolve()


def _is_inside(name: str) -> bool:
    pure = PurePosixPath(name)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts and "\0" not in name


def _relative(name: str, where: str, key: str) -> str:
    if not _is_inside(name):
        raise TaskError(f"{where}: {key}: '{name}' must be a path inside the workdir")
    return str(PurePosixPath(name))


def _cases(value: str | list[dict[str, Any]] | None, path: Path | None, where: str) -> tuple[Case, ...]:
    if value is None:
        return ()
    try:
        if isinstance(value, str):
            return read_cases((path.parent if path else Path()) / value)
        return parse_cases(value, f"{where}: cases")
    except CasesError as error:
        raise TaskError(str(error)) from error
