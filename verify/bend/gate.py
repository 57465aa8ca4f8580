"""The gate: what of a candidate may run, decided before anything of it reaches a compiler.

`admit(code, entry, limits)` returns a `Candidate` whose source is printed from tokens, with every
definition and type moved into the private namespace `c7/`, so that a candidate can neither shadow the
harness nor break a builtin by using one of its inner names (a function called `go` breaks `u24/to_string`
otherwise).

What it turns away and why:

- REFUSED: `import`/`from` (reads files), `hvm` (raw nets bypass the type checker), `unchecked`, IO and its
  magic numbers, `main`, the harness's names, superpositions `{a, b}` and unscoped variables `$x` (outside
  the subset in which HVM2 agrees with lambda calculus), tabs, NUL, undue nesting.
- UNSUPPORTED: functional syntax (unchecked unless annotated), an entry point without full annotations or
  with types that do not cross (`verify.bend.types`), redefined builtin types, code over `code_bytes`.
- COMPILE_ERROR: no such entry point, text that is not Bend.
"""

from __future__ import annotations

from dataclasses import dataclass

from verify.bend.braces import only_fields_and_maps
from verify.bend.lexer import LexError, Token, render, tokenize
from verify.bend.signature import Parameter, Signature, Turned
from verify.bend.types import BendType
from verify.limits import Limits
from verify.verdict import Status

SPACE = "c7/"
HARNESS = "h7/"
MAX_NESTING = 200

_BANNED = {
    "import": "imports read files",
    "from": "imports read files",
    "hvm": "raw nets bypass the type checker",
    "unchecked": "unchecked definitions bypass the type checker",
    "main": "main belongs to the harness",
    "Main": "main belongs to the harness",
}
_BANNED_PARTS = ("MAGIC", "DyLib", "DL_OPEN", "DL_CALL", "DL_CLOSE")
_MAGIC = {0xD0CA11, 0xFF1FF1}
_BUILTIN_TYPES = {
    "String",
    "List",
    "Nat",
    "Result",
    "Tree",
    "Maybe",
    "Map",
    "IO",
    "IOError",
    "u24",
    "i24",
    "f24",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program that passed the gate. `entry` is its name inside the namespace."""

    source: str
    entry: str
    parameters: tuple[Parameter, ...]
    result: BendType
    definitions: tuple[str, ...]


def admit(code: str, entry: str, limits: Limits) -> Candidate:
    """Pass `code` through the gate. Raises Turned."""
    tokens, names = screen(code, limits)
    if entry not in names:
        raise Turned(Status.COMPILE_ERROR, f"no function '{entry}' is defined")
    signature = _signature(tokens, entry)
    return Candidate(
        source=render([_renamed(token, names) for token in tokens]).strip("\n ") + "\n",
        entry=SPACE + entry,
        parameters=signature[0],
        result=signature[1],
        definitions=tuple(sorted(names)),
    )


def screen(code: str, limits: Limits) -> tuple[list[Token], set[str]]:
    """The part of the gate that needs no entry point: tokens and the names they define. Raises Turned."""
    tokens = _tokens(code, limits)
    _scan(tokens)
    only_fields_and_maps(tokens)
    return tokens, _definitions(tokens)


def _tokens(code: str, limits: Limits) -> list[Token]:
    try:
        size = len(code.encode("utf-8"))
    except UnicodeEncodeError:
        raise Turned(Status.REFUSED, "the source is not valid UTF-8") from None
    if size > limits.code_bytes:
        raise Turned(Status.UNSUPPORTED, f"{size} bytes of code, more than code_bytes={limits.code_bytes}")
    try:
        return tokenize(code)
    except LexError as error:
        raise Turned(Status.REFUSED if error.refused else Status.COMPILE_ERROR, str(error)) from None


def _scan(tokens: list[Token]) -> None:
    """Banned words, numbers and marks; bracket and block depth; what stands at the start of a top-level
    line."""
    depth = 0
    at_line_start = True
    for token in tokens:
        if token.kind == "newline":
            at_line_start = True
            indent = token.indent
            continue
        if at_line_start and not depth:
            if token is tokens[0]:
                indent = token.space
            _top_level(token, indent)
            if indent // 2 > MAX_NESTING:
                raise Turned(Status.REFUSED, f"line {token.line}: nested deeper than {MAX_NESTING}")
        at_line_start = False
        if token.kind == "name":
            _name(token)
        elif token.kind == "num":
            _number(token)
        elif token.text == "$":
            raise Turned(Status.REFUSED, f"line {token.line}: unscoped variables are not accepted")
        elif token.text in "([{" and token.kind == "op":
            depth += 1
            if depth > MAX_NESTING:
                raise Turned(Status.REFUSED, f"line {token.line}: nested deeper than {MAX_NESTING}")
        elif token.text in ")]}" and token.kind == "op":
            depth -= 1
            if depth < 0:
                raise Turned(Status.COMPILE_ERROR, f"line {token.line}: unbalanced '{token.text}'")
    if depth:
        raise Turned(Status.COMPILE_ERROR, "unbalanced bracket at the end of the program")


def _top_level(token: Token, indent: int) -> None:
    if indent == 0 and token.text not in ("def", "type", "object") and token.text not in _BANNED:
        raise Turned(
            Status.UNSUPPORTED,
            f"line {token.line}: a top-level line must start with def, type or object (functional syntax is "
            "not supported: its definitions are unchecked by default)",
        )
    if indent % 2:
        raise Turned(
            Status.COMPILE_ERROR, f"line {token.line}: indentation of {indent} spaces (Bend wants steps of 2)"
        )


def _name(token: Token) -> None:
    text = token.text
    if text in _BANNED:
        raise Turned(Status.REFUSED, f"line {token.line}: '{text}' is not accepted: {_BANNED[text]}")
    if text in ("IO", "IOError") or text.startswith(("IO/", "IO.", "IOError/")):
        raise Turned(Status.REFUSED, f"line {token.line}: IO is not accepted ('{text}')")
    if any(part in text for part in _BANNED_PARTS):
        raise Turned(Status.REFUSED, f"line {token.line}: '{text}' belongs to the IO protocol")
    if text.startswith((HARNESS, SPACE)):
        raise Turned(
            Status.REFUSED, f"line {token.line}: names starting with '{text[:3]}' belong to the harness"
        )


def _number(token: Token) -> None:
    digits = token.text.replace("_", "")
    try:
        value = float(digits) if "." in digits else int(digits, 0 if digits[:2] in ("0x", "0b") else 10)
    except ValueError:
        raise Turned(Status.COMPILE_ERROR, f"line {token.line}: '{token.text}' is not a number") from None
    if value in _MAGIC:
        raise Turned(Status.REFUSED, f"line {token.line}: {token.text} is a magic number of the IO protocol")


def _definitions(tokens: list[Token]) -> set[str]:
    """Names of the functions, types and constructors that the candidate defines at the top level."""
    names: set[str] = set()
    for line in _lines(tokens):
        head = line[0]
        if head.text not in ("def", "type", "object"):
            continue
        body = [t for t in line if t.text != "checked"]
        if len(body) < 2 or body[1].kind != "name":
            raise Turned(Status.COMPILE_ERROR, f"line {head.line}: '{head.text}' without a name")
        name = body[1].text
        if head.text != "def" and name in _BUILTIN_TYPES:
            raise Turned(Status.UNSUPPORTED, f"line {head.line}: redefines the builtin type {name}")
        if name in names:
            raise Turned(Status.COMPILE_ERROR, f"line {head.line}: '{name}' is defined twice")
        names.add(name)
        if head.text == "type":
            names |= _constructors(tokens, head, name)
    return names


def _lines(tokens: list[Token]) -> list[list[Token]]:
    """Top-level lines: those that start in column 0 outside brackets."""
    lines: list[list[Token]] = []
    depth, indent, fresh = 0, 0, True
    for token in tokens:
        if token.kind == "newline":
            if not depth:
                indent, fresh = token.indent, True
            continue
        if fresh and not depth and not (indent or (token is tokens[0] and token.space)):
            lines.append([])
        fresh = False
        if token.kind == "op":
            depth += (token.text in "([{") - (token.text in ")]}")
        if lines:
            lines[-1].append(token)
    return [line for line in lines if line]


def _constructors(tokens: list[Token], head: Token, name: str) -> set[str]:
    if not any(t.text == ":" and t.line == head.line for t in tokens):
        raise Turned(Status.UNSUPPORTED, f"line {head.line}: functional syntax is not supported")
    found: set[str] = set()
    start = next(at for at, token in enumerate(tokens) if token is head)
    depth, fresh = 0, False
    for token in tokens[start + 1 :]:
        if token.kind == "newline":
            if not depth:
                fresh, indent = True, token.indent
            continue
        if fresh:
            if not indent:
                break
            if token.kind == "name":
                found.add(f"{name}/{token.text}")
            fresh = False
        if token.kind == "op":
            depth += (token.text in "([{") - (token.text in ")]}")
    return found


def _signature(tokens: list[Token], entry: str) -> tuple[tuple[Parameter, ...], BendType]:
    for line in _lines(tokens):
        body = [t for t in line if t.text != "checked"]
        if body[0].text == "def" and body[1].text == entry:
            return Signature(body[2:], entry).parse()
    raise Turned(Status.COMPILE_ERROR, f"'{entry}' is not a function")


def _renamed(token: Token, names: set[str]) -> Token:
    if token.kind != "name":
        return token
    text = token.text
    if text not in names:
        # A field or a dotted access: rename the parts that are names of the candidate, as at their
        # binding site.
        parts = text.split(".")
        if not any(part in names for part in parts):
            return token
        text = ".".join(SPACE + part if part in names else part for part in parts)
    else:
        text = SPACE + text
    return Token(token.kind, text, token.line, token.space, token.indent)
