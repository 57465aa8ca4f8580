"""Nested YAML mappings into dataclasses, strictly: an unknown key names the nearest known one, a value of the
wrong type names the key and what is wanted.
"""

from __future__ import annotations

import difflib
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from model.errors import ModelError


class ConfigError(ModelError):
    """A configuration that cannot be used; the message names the file, the key and the remedy."""


T = TypeVar("T")


def parse(kind: type[T], raw: Any, where: str) -> T:
    """A dataclass from a mapping; `where` is its key in the file. Raises ConfigError."""
    if not isinstance(raw, dict):
        raise ConfigError(f"{where or 'the file'} must be a mapping of keys, not {type(raw).__name__}")
    hints = typing.get_type_hints(kind)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # kind is a dataclass type by construction
    for key in raw:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
            raise ConfigError(f"unknown key {_at(where, str(key))!r}; {hint}")
    values = {key: _value(hints[key], value, _at(where, key)) for key, value in raw.items()}
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return parse(typing.cast("type[Any]", hint), value, where)
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value is None and "none" in options:
            return "none"
        if value not in options:
            raise ConfigError(f"{where}: {value!r} is none of {', '.join(map(str, options))}")
        return value
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_value(options[0], item, where) for item in items)
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint is float and isinstance(value, str):
        value = _scientific(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    name = hint.__name__ if isinstance(hint, type) else str(hint)
    raise ConfigError(f"{where}: {value!r} is not of type {name}")


def _scientific(text: str) -> Any:
    """YAML 1.1 reads `1e-4` (no dot) as text; people mean the number."""
    try:
        return float(text)
    except ValueError:
        return text


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def positive(where: str, **values: float) -> None:
    """Raises ConfigError for a value that is not above 0."""
    for name, value in values.items():
        if value <= 0:
            raise ConfigError(f"{where}.{name} must be above 0")


def share(where: str, **values: float) -> None:
    """Raises ConfigError for a value outside 0 to 1."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{where}.{name} must lie between 0 and 1")
