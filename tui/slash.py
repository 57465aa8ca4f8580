"""Slash commands: what can be typed at the prompt besides a task."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlashCommand:
    name: str
    argument: str
    help: str

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.argument}".rstrip()


COMMANDS = (
    SlashCommand("run", "FILE", "run a task file (Markdown with optional front matter)"),
    SlashCommand("model", "NAME", "load another model; none: show the one in use"),
    SlashCommand("decode", "MODE", "auto, ar, diffusion, verified, lookup; none: show it"),
    SlashCommand("undo", "ID", "put back the files of a run; none: of the last one here"),
    SlashCommand("sessions", "", "runs of before: run one again, or put its files back"),
    SlashCommand("clear", "", "empty the transcript"),
    SlashCommand("help", "", "keys, commands and what the colours mean"),
    SlashCommand("quit", "", "leave; a run in progress is stopped cleanly"),
)
BY_NAME = {command.name: command for command in COMMANDS}


class SlashError(ValueError):
    """Not a command we have; the message says which was probably meant."""


def is_command(text: str) -> bool:
    """True for one line that starts with `/` and a letter: a task may well begin with a path or a comment."""
    return (
        len(text) > 1
        and text[0] == "/"
        and text[1].isalpha()
        and "\n" not in text
        and "/" not in text.split()[0][1:]
    )


def parse(text: str) -> tuple[SlashCommand, str]:
    """The command and its argument, stripped.

    Raises SlashError for a name we do not have or an argument where none is taken.
    """
    name, _, argument = text[1:].partition(" ")
    argument = argument.strip()
    command = BY_NAME.get(name.lower())
    if command is None:
        near = difflib.get_close_matches(name.lower(), BY_NAME, n=1)
        hint = f"did you mean /{near[0]}?" if near else "/help lists them"
        raise SlashError(f"there is no command /{name}: {hint}")
    if argument and not command.argument:
        raise SlashError(f"/{command.name} takes no argument")
    if command.name == "run" and not argument:
        raise SlashError("/run needs a task file: /run path/to/task.md")
    return command, argument


def matching(text: str) -> tuple[SlashCommand, ...]:
    """Commands that `text` may be the beginning of; empty once an argument is being typed."""
    if not text.startswith("/") or "\n" in text or " " in text:
        return ()
    return tuple(command for command in COMMANDS if command.name.startswith(text[1:].lower()))
