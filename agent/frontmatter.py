"""The YAML at the head of a task file: its keys, what each may hold, and one line that says what is wrong."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from agent.errors import TaskError


class LimitsKeys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    max_steps: int | None = Field(default=None, ge=1)
    max_repairs: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    timeout: float | None = Field(default=None, gt=0)
    wall_s: float | None = Field(default=None, gt=0)
    cpu_s: float | None = Field(default=None, gt=0)
    mem_mb: int | None = Field(default=None, ge=16)
    out_bytes: int | None = Field(default=None, ge=1024)
    processes: int | None = Field(default=None, ge=1)
    disk_mb: int | None = Field(default=None, ge=1)
    fuel: int | None = Field(default=None, ge=1)


class FrontMatter(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    files: list[str] | str | None = None
    tests: list[str] | str = []
    test_cmd: list[str] | str | None = None
    cases: str | list[dict[str, Any]] | None = None
    entry: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w/]*$")
    model: str | None = None
    limits: LimitsKeys = LimitsKeys()


def split(text: str, path: Path) -> tuple[dict[str, Any], str]:
    """Front matter and body. Front matter is there when the first line is `---`. Raises TaskError."""
    if not re.match(r"---[ \t]*\n", text):
        return {}, text.strip()
    match = re.match(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", text, re.DOTALL | re.MULTILINE)
    if match is None:
        raise TaskError(f"{path}: the front matter opened by '---' on line 1 has no closing '---'")
    try:
        front = yaml.load(match[1], _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 2}: " if mark else ""
        raise TaskError(
            f"{path}: front matter: {where}{getattr(error, 'problem', None) or 'not YAML'}"
        ) from error
    if front is not None and not isinstance(front, dict):
        raise TaskError(f"{path}: the front matter must be keys and values, like 'files: [solution.py]'")
    return front or {}, text[match.end() :].strip()


class _Loader(yaml.SafeLoader):
    """Plain YAML in which a key comes once: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' comes twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def validate(front: dict[str, Any], path: Path) -> FrontMatter:
    """Raises TaskError naming the key, what it holds and what is wanted."""
    try:
        return FrontMatter.model_validate(front)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("list[", "str")))
        if first["type"] == "extra_forbidden":
            known = LimitsKeys if first["loc"][0] == "limits" and len(first["loc"]) > 1 else FrontMatter
            raise TaskError(f"{path}: front matter: {_unknown(where, known)}") from error
        raise TaskError(f"{path}: front matter: {where} {_wrong(first)}") from error


# What pydantic calls an error -> what is wanted instead.
_WANTED = {
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "string_pattern_mismatch": "a function's name",
}


def _wrong(error: ErrorDetails) -> str:
    wanted = _WANTED.get(error["type"], error["msg"]).format(**error.get("ctx", {}))
    return f"is {error['input']!r:.60}, {wanted} is wanted"


def _unknown(key: str, known: type[BaseModel]) -> str:
    name = key.rpartition(".")[2]
    names = list(known.model_fields)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(names)}"
    return f"unknown key '{key}'; {hint}"
