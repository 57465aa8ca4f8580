"""Tokens of Bend source, as far as the gate needs them.

The gate never judges raw text: it takes a program apart here and Bend only sees what the gate prints again
from the tokens, without comments and with every literal in one canonical form. What looks like a comment or
a string to one of Bend's two parsers and like code to the other therefore cannot exist in what is run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from verify.bend.types import string_literal

Kind = Literal["name", "num", "str", "char", "op", "newline"]

_NUMBER = re.compile(r"0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*(?:\.[0-9_]+)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|(.))")
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "\\": "\\", '"': '"', "'": "'"}
_OPERATORS = (
    "->",
    "<-",
    "**",
    "<<",
    ">>",
    "<=",
    ">=",
    "==",
    "!=",
    "+=",
    "-=",
    "*=",
    "/=",
    "&=",
    "|=",
    "^=",
    "@=",
)
# Printed side by side, two of these could read as one: `h` and the character 7 would become `h7`.
_WORDS = ("name", "num", "str", "char")
_SINGLE = set("()[]{},:;=+-*/%<>&|^~!.@$")


class LexError(ValueError):
    """Not a token of Bend. `refused` is True for what the gate will not run, False for plain bad syntax."""

    def __init__(self, line: int, message: str, *, refused: bool = False) -> None:
        super().__init__(f"line {line}: {message}")
        self.refused = refused


@dataclass(slots=True)
class Token:
    """`text` is what is printed again; `space` the blanks before it; a newline token has the indent of the
    next line."""

    kind: Kind
    text: str
    line: int
    space: int = 0
    indent: int = 0


def tokenize(source: str) -> list[Token]:
    """All tokens of `source`, comments dropped. Raises LexError."""
    text = source.replace("\r\n", "\n")
    tokens: list[Token] = []
    pos, line, space = 0, 1, 0
    while pos < len(text):
        char = text[pos]
        if char == " ":
            space += 1
            pos += 1
            continue
        if char == "\n":
            pos += 1
            indent = 0
            while pos < len(text) and text[pos] == " ":
                pos, indent = pos + 1, indent + 1
            tokens.append(Token("newline", "\n", line, indent=indent))
            line, space = line + 1, 0
            continue
        if char == "#":
            pos, skipped = _comment(text, pos, line)
            line += skipped
            continue
        token, pos = _token(text, pos, line)
        if not space and tokens and token.kind in _WORDS and tokens[-1].kind in _WORDS:
            raise LexError(line, "two tokens without a space between them")
        token.space = space
        space = 0
        tokens.append(token)
    return tokens


def _comment(text: str, pos: int, line: int) -> tuple[int, int]:
    """Position after the comment and the number of lines it spans."""
    if not text.startswith("#{", pos):
        end = text.find("\n", pos)
        return (len(text) if end < 0 else end), 0
    end = text.find("#}", pos + 2)
    if end < 0:
        raise LexError(line, "unterminated block comment")
    after = text.find("\n", end)
    rest = text[end + 2 : len(text) if after < 0 else after]
    before = text[text.rfind("\n", 0, pos) + 1 : pos]
    if before.strip() or (rest.strip() and not rest.lstrip().startswith("#")):
        raise LexError(line, "a block comment may not share a line with code")
    return end + 2, text.count("\n", pos, end)


def _token(text: str, pos: int, line: int) -> tuple[Token, int]:
    char = text[pos]
    if char == '"':
        value, end = _quoted(text, pos, line, '"')
        return Token("str", string_literal(value), line), end
    if char == "'":
        value, end = _quoted(text, pos, line, "'")
        if len(value) != 1:
            raise LexError(line, "a character literal holds one character")
        return Token("char", str(ord(value)), line), end
    if char == "λ":
        return Token("name", "lambda ", line), pos + 1
    if found := _NAME.match(text, pos):
        # `x->T` is a name and an arrow, as in Bend's own type annotations.
        name = found.group()
        if name.endswith("-") and text.startswith(">", found.end()):
            name = name[:-1]
        return Token("name", name, line), pos + len(name)
    if found := _NUMBER.match(text, pos):
        return Token("num", found.group(), line), found.end()
    for operator in _OPERATORS:
        if text.startswith(operator, pos):
            return Token("op", operator, line), pos + len(operator)
    if char in _SINGLE:
        return Token("op", char, line), pos + 1
    if char == "\t":
        raise LexError(line, "tabs are not accepted", refused=True)
    if char == "\0":
        raise LexError(line, "NUL byte", refused=True)
    raise LexError(
        line, f"character {char!a} is not accepted here", refused=ord(char) > 126 or ord(char) < 32
    )


def _quoted(text: str, pos: int, line: int, quote: str) -> tuple[str, int]:
    out: list[str] = []
    pos += 1
    while pos < len(text) and text[pos] != quote:
        char = text[pos]
        if char == "\n":
            break
        if char != "\\":
            out.append(char)
            pos += 1
            continue
        found = _ESCAPE.match(text, pos)
        if found is None:
            raise LexError(line, "bad escape in a literal")
        if found.group(1):
            code = int(found.group(1), 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise LexError(line, "escape is not a Unicode character")
            out.append(chr(code))
        elif found.group(2) in _SIMPLE:
            out.append(_SIMPLE[found.group(2)])
        else:
            raise LexError(line, f"unknown escape \\{ascii(found.group(2))[1:-1]}")
        pos = found.end()
    if pos >= len(text) or text[pos] != quote:
        raise LexError(line, "unterminated literal")
    return "".join(out), pos + 1


def render(tokens: list[Token]) -> str:
    """Bend source of the tokens."""
    out: list[str] = []
    for token in tokens:
        if token.kind == "newline":
            out.append("\n" + " " * token.indent)
        else:
            out.append(" " * token.space + token.text)
    return "".join(out)
