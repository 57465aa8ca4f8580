"""Tool calls in the form a small model manages: fenced blocks that hold a whole file or search/replace pairs.

    slug.py                      the name may stand before the block, after the backticks,
    ```python                    or in a comment on the block's first line; a block without
    def slugify(text): ...       a name belongs to the only file the task may write
    ```

    ```python slug.py
    <<<<<<< SEARCH
    old lines
    =======
    new lines
    >>>>>>> REPLACE
    ```

Parsing is lenient (a missing last fence, any number of marker characters, bare code without a fence) and runs
in linear time. What cannot be used raises EditError, whose message goes back to the model with the text it is
about.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from agent.errors import EditError
from agent.untrusted import one_line

MAX_ANSWER_CHARS = 256 * 1024
_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})(.*)")
_NAME = re.compile(r"[\w./][\w./-]*\.\w{1,8}")
_SEARCH = re.compile(r"\s*<{4,}\s*(?:SEARCH|ORIGINAL|OLD)\b.*", re.IGNORECASE)
_MIDDLE = re.compile(r"\s*={4,}\s*")
_REPLACE = re.compile(r"\s*>{4,}\s*(?:REPLACE|UPDATED|NEW)?\s*", re.IGNORECASE)
_LANGUAGES = {"python": ".py", "py": ".py", "python3": ".py", "bend": ".bend", "": ""}


@dataclass(frozen=True, slots=True)
class WholeFile:
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class SearchReplace:
    path: str
    search: str
    replace: str


Edit = WholeFile | SearchReplace


@dataclass(frozen=True, slots=True)
class _Block:
    language: str
    name: str  # "" when the block carries none
    text: str


def parse_edits(answer: str, files: tuple[str, ...], entry: str | None = None) -> tuple[Edit, ...]:
    """The edits in a model's answer, at least one.

    files: what the task may write; a block for any other file is left out. entry: the function the task is
    about; of several blocks without a name the first that defines it counts, else the longest.
    Raises EditError when no usable edit is left.
    """
    if len(answer) > MAX_ANSWER_CHARS:
        raise EditError(f"The answer is longer than {MAX_ANSWER_CHARS} characters.")
    blocks = _blocks(answer) or _bare(answer)
    if not blocks:
        raise EditError(f"No code block was found in the answer, which begins: {one_line(answer, 80)!r}")
    named: list[Edit] = []
    unnamed: list[_Block] = []
    refused: list[str] = []
    for block in blocks:
        path = _resolve(block.name, files)
        if path:
            named.extend(_edits(path, block.text))
        elif block.name:
            refused.append(block.name)
        elif _LANGUAGES.get(block.language) in ("", PurePosixPath(files[0]).suffix) and block.text.strip():
            unnamed.append(block)
    if named:
        return tuple(named)
    if unnamed and len(files) == 1:
        defining = [
            b for b in unnamed if entry and re.search(rf"\b(?:def|class)\s+{re.escape(entry)}\b", b.text)
        ]
        chosen = defining[0] if defining else max(unnamed, key=lambda b: len(b.text))
        return tuple(_edits(files[0], chosen.text))
    allowed = ", ".join(files)
    if refused:
        raise EditError(
            f"The answer is for {', '.join(sorted(set(refused)))}; only {allowed} may be written."
        )
    if unnamed:
        raise EditError(f"The code block does not say which file it is for; name one of {allowed} before it.")
    raise EditError(f"No code block for {allowed} was found in the answer.")


def apply(edit: Edit, current: str | None) -> str:
    """The file's new text. Raises EditError when the text to search for is not there exactly once."""
    if isinstance(edit, WholeFile):
        return edit.text if edit.text.endswith("\n") else edit.text + "\n"
    if not edit.search.strip():
        if current:
            raise EditError(f"The SEARCH part for {edit.path} is empty, but the file is not.")
        return edit.replace
    text = current or ""
    if text.count(edit.search) == 1:
        return text.replace(edit.search, edit.replace)
    lines, wanted = text.split("\n"), edit.search.strip("\n").split("\n")
    # Small models lose the indentation or trailing blanks of what they quote: compare the bare lines.
    found = [
        at
        for at in range(len(lines) - len(wanted) + 1)
        if all(lines[at + i].strip() == w.strip() for i, w in enumerate(wanted))
    ]
    if len(found) != 1:
        how = "does not occur" if not found else f"occurs {len(found)} times"
        raise EditError(f"The SEARCH text {how} in {edit.path}: {one_line(edit.search, 160)!r}")
    at = found[0]
    shift = _indent(lines[at]) - _indent(wanted[0])
    new = (
        [_shift(line, shift) for line in edit.replace.strip("\n").split("\n")] if edit.replace.strip() else []
    )
    return "\n".join([*lines[:at], *new, *lines[at + len(wanted) :]])


def _blocks(answer: str) -> list[_Block]:
    blocks: list[_Block] = []
    fence, info, before, body = "", "", "", list[str]()
    for line in [*answer.split("\n"), None]:
        match = _FENCE.fullmatch(line) if line is not None else None
        if fence:
            closes = match and match[1].startswith(fence) and not match[2].strip()
            if line is None or closes:
                blocks.append(_block(info, before, body))
                fence, before = "", ""
            else:
                body.append(line)
        elif match:
            fence, info, body = match[1], match[2].strip(), []
        elif line and line.strip():
            before = line
    return blocks


def _block(info: str, before: str, body: list[str]) -> _Block:
    language = re.split(r"[\s:{]", info, maxsplit=1)[0].lower()
    name = _NAME.search(info)
    if (
        name is None
        and len(before) <= 120
        and _NAME.fullmatch(before.strip().strip("#*`:- ").removeprefix("File: "))
    ):
        name = _NAME.search(before)
    if name is None and body:
        name = re.fullmatch(
            r"\s*(?:#|//)\s*(?:file(?:name)?:?\s*)?([\w][\w./-]*\.(?:py|bend))\s*", body[0].lower()
        )
        name = name and _NAME.search(body[0])
        body = body[1:] if name else body
    if name and language == name[0].lower():
        language = ""
    return _Block(language, name[0] if name else "", "\n".join(body) + "\n")


def _bare(answer: str) -> list[_Block]:
    """An answer that is code and nothing else, or search/replace pairs without a fence."""
    if any(_SEARCH.fullmatch(line) for line in answer.split("\n")):
        return [_Block("", "", answer)]
    try:
        body = ast.parse(answer).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    is_code = any(
        isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign) for n in body
    )
    return [_Block("python", "", answer)] if is_code else []


def _edits(path: str, text: str) -> list[Edit]:
    """Search/replace pairs when there are markers, else the whole file."""
    edits: list[Edit] = []
    search: list[str] = []
    replace: list[str] = []
    state = "out"
    for line in text.split("\n"):
        if state == "out" and _SEARCH.fullmatch(line):
            state, search, replace = "search", [], []
        elif state == "search" and _MIDDLE.fullmatch(line):
            state = "replace"
        elif state == "replace" and _REPLACE.fullmatch(line):
            state = "out"
            edits.append(SearchReplace(path, _lines(search), _lines(replace)))
        elif state != "out":
            (search if state == "search" else replace).append(line)
    if state != "out":
        part = "'=======' line" if state == "search" else "'>>>>>>> REPLACE' line"
        raise EditError(f"A SEARCH block for {path} has no {part}: {one_line(_lines(search), 160)!r}")
    return edits or [WholeFile(path, text)]


def _lines(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)


def _resolve(name: str, files: tuple[str, ...]) -> str | None:
    """The file a block's name means: itself, or the only one with the same last part."""
    pure = str(PurePosixPath(name)) if name else ""
    if pure in files:
        return pure
    same = [f for f in files if name and PurePosixPath(f).name == PurePosixPath(name).name]
    return same[0] if len(same) == 1 else None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _shift(line: str, by: int) -> str:
    if not line.strip():
        return ""
    return " " * by + line if by >= 0 else line[min(-by, _indent(line)) :]
