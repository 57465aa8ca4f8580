"""A short text of a codec tree for messages, from plain values only, so that no candidate code runs."""

from __future__ import annotations

from typing import Any

from verify.codec import (
    BYTES,
    COMPLEX,
    DICT,
    FALSE,
    FLOAT,
    FROZENSET,
    INT,
    ITERATOR,
    LIST,
    NONE,
    SET,
    STR,
    TRUE,
    TUPLE,
    Node,
)

TYPE_NAMES = {
    NONE: "None",
    TRUE: "bool",
    FALSE: "bool",
    INT: "int",
    FLOAT: "float",
    COMPLEX: "complex",
    STR: "str",
    BYTES: "bytes",
    LIST: "list",
    TUPLE: "tuple",
    SET: "set",
    FROZENSET: "frozenset",
    DICT: "dict",
    ITERATOR: "list",
}
BRACKETS = {
    LIST: ("[", "]"),
    ITERATOR: ("[", "]"),
    TUPLE: ("(", ")"),
    SET: ("{", "}"),
    FROZENSET: ("frozenset({", "})"),
    DICT: ("{", "}"),
}


def describe(node: Node, width: int = 200) -> str:
    """A short Python-like text of a tree for messages; made from plain values, so no candidate code runs."""
    room = width

    def walk(item: Node) -> str:
        nonlocal room
        if room <= 0:
            return "..."
        tag, content = item
        if tag in (NONE, TRUE, FALSE):
            text = {NONE: "None", TRUE: "True", FALSE: "False"}[tag]
        elif tag == INT:
            text = repr(content) if content.bit_length() < 1_000 else f"<int of {content.bit_length()} bits>"
        elif tag in (STR, BYTES):
            text = repr(content[: max(room, 1)])
        elif tag in (FLOAT, COMPLEX):
            text = repr(content)
        else:
            room -= 2
            if tag == DICT:
                inner = ", ".join(f"{walk(k)}: {walk(v)}" for k, v in _while_room(content))
            else:
                inner = ", ".join(walk(member) for member in _while_room(content))
            left, right = BRACKETS[tag]
            if tag == TUPLE and len(content) == 1:
                inner += ","
            if tag == SET and not content:
                left, right = ("set(", ")")
            return left + inner + right
        room -= len(text)
        return text

    def _while_room(content: Any) -> Any:
        for member in content:
            yield member
            if room <= 0:
                return

    text = walk(node)
    return text if len(text) <= width else text[: width - 3] + "..."
