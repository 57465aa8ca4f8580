"""What a brace opens in a Bend program, so that the gate can tell superpositions from fields and maps."""

from __future__ import annotations

from verify.bend.lexer import Token
from verify.bend.signature import Turned
from verify.verdict import Status

_KEYWORDS = {
    "return", "if", "elif", "else", "when", "case", "match", "switch", "with", "in", "fold", "bend",
    "open", "use", "def", "type", "object", "lambda", "lambda ", "for", "checked",
}  # fmt: skip


def only_fields_and_maps(tokens: list[Token]) -> None:
    """A brace may open a constructor's fields or a map; anything else would be a superposition.

    Raises Turned.
    """
    code = [token for token in tokens if token.kind != "newline"]
    for at, token in enumerate(code):
        if token.kind != "op" or token.text != "{":
            continue
        if _separator(code, at) not in (":", "}"):
            previous = code[at - 1] if at else None
            fields = previous is not None and previous.kind == "name" and previous.text not in _KEYWORDS
            bare = all(t.kind == "name" or t.text in ("~", ",") for t in _inside(code, at))
            # `C { head, ~tail }` in a type declaration: fields without a type.
            if not (fields and bare and _declares(code, at)):
                raise Turned(Status.REFUSED, f"line {token.line}: superpositions {{a, b}} are not accepted")


def _inside(code: list[Token], at: int) -> list[Token]:
    depth, out = 0, []
    for token in code[at:]:
        if token.kind == "op" and token.text in "([{":
            depth += 1
        elif token.kind == "op" and token.text in ")]}":
            depth -= 1
            if not depth:
                break
        out.append(token)
    return out[1:]


def _separator(code: list[Token], at: int) -> str:
    """The first `:`, `,` or closing brace directly inside the brace at `at`; a lambda's colon does not
    count."""
    inside = _inside(code, at)
    depth = 0
    for token in inside:
        if token.kind == "name" and token.text.strip() == "lambda":
            return "lambda"
        if token.kind != "op":
            continue
        if token.text in "([{":
            depth += 1
        elif token.text in ")]}":
            depth -= 1
        elif not depth and token.text in (":", ","):
            return token.text
    return "}" if not inside else "one"


def _declares(code: list[Token], at: int) -> bool:
    """Is the brace at `at` part of a `type` or `object` declaration, that is, not inside a function?"""
    for token in reversed(code[:at]):
        if token.kind == "name" and token.text in ("def", "type", "object"):
            return token.text != "def"
    return False
