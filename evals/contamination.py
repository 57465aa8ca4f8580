"""Does training data hold benchmark text? Word n-grams for prompts and solutions, syntax k-grams for renamed
code.

A document is reported for a task when it holds at least `MIN_SHARE` of the task's word 10-grams (of the
prompt's docstring or of the reference), or a function whose syntax tree is, names apart, at least
`MIN_SYNTAX` the reference's. Single 10-grams are not enough: a plain nested loop already shares one with
HumanEval/0.
"""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.benchmark import Task
from evals.errors import DataError
from evals.extract import MAX_CHARS

WORDS = 10
MIN_SHARE = 0.25
SYNTAX = 5
MIN_SYNTAX = 0.8
MIN_NODES = 30
_WORD = re.compile(r"\w+")
_FENCED = re.compile(r"```[^\n]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """Where (file and line), which task, what was found (`prompt`, `solution`, `syntax`), how much of it."""

    where: str
    task_id: str
    kind: str
    share: float


class Index:
    """The benchmarks' n-grams, to be asked about many documents."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._owners: dict[int, set[tuple[str, str]]] = defaultdict(set)
        self._sizes: dict[tuple[str, str], int] = {}
        self._trees: dict[str, frozenset[int]] = {}
        for task in tasks:
            # A reference begins with the prompt; what follows is the solution.
            solution = task.reference.removeprefix(task.prompt)
            for kind, text in (("prompt", task.prompt), ("solution", solution)):
                grams = _grams(_WORD.findall(text.lower()), WORDS)
                if len(grams) >= 5:
                    self._sizes[task.id, kind] = len(grams)
                    for gram in grams:
                        self._owners[gram].add((task.id, kind))
            for tree in _functions(task.reference):
                self._trees[task.id] = tree

    def search(self, text: str, where: str) -> list[Finding]:
        """Every task that `text` holds, strongest first."""
        hits: dict[tuple[str, str], int] = defaultdict(int)
        for gram in _grams(_WORD.findall(text.lower()), WORDS):
            for owner in self._owners.get(gram, ()):
                hits[owner] += 1
        found = [
            Finding(where, task_id, kind, round(count / self._sizes[task_id, kind], 3))
            for (task_id, kind), count in hits.items()
            if count >= MIN_SHARE * self._sizes[task_id, kind]
        ]
        for tree in {tree for code in _code(text) for tree in _functions(code)}:
            for task_id, theirs in self._trees.items():
                if min(len(tree), len(theirs)) < MIN_SYNTAX * max(len(tree), len(theirs)):
                    continue
                share = len(tree & theirs) / len(tree | theirs)
                if share >= MIN_SYNTAX:
                    found.append(Finding(where, task_id, "syntax", round(share, 3)))
        return sorted(found, key=lambda f: -f.share)


def _grams(items: list[str], size: int) -> set[int]:
    return {hash(tuple(items[i : i + size])) for i in range(len(items) - size + 1)}


def _code(text: str) -> list[str]:
    """Fenced blocks, or the whole text where there are none."""
    return [block[:MAX_CHARS] for block in _FENCED.findall(text)] or [text[:MAX_CHARS]]


def _functions(code: str) -> Iterator[frozenset[int]]:
    """The k-grams of node types of each top-level function, docstring and names left out."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            kinds = [type(child).__name__ for child in _preorder(node)]
            if len(kinds) >= MIN_NODES:
                yield frozenset(_grams(kinds, SYNTAX))


def _preorder(node: ast.AST) -> Iterator[ast.AST]:
    stack: list[ast.AST] = [node]
    while stack:
        current = stack.pop()
        if not isinstance(current, ast.Load | ast.Store | ast.Del):
            yield current
            stack += reversed(list(ast.iter_child_nodes(current)))


def documents(path: Path) -> Iterator[tuple[str, str]]:
    """(where, text) of each document: a line of JSON Lines, or a whole file; folders are walked. Raises
    DataError.
    """
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            yield from documents(file)
        return
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    if path.suffix != ".jsonl":
        yield str(path), text
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}:{number}: broken JSON: {error}") from None
            yield f"{path}:{number}", "\n".join(_strings(row))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
