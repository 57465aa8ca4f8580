from __future__ import annotations

import pytest

from tui.slash import COMMANDS, SlashError, is_command, matching, parse


@pytest.mark.parametrize("text", ["/run task.md", "/help", "/nonsense"])
def test_commands_are_told_from_tasks(text: str) -> None:
    assert is_command(text)


@pytest.mark.parametrize("text", ["/", "// a comment", "/etc/passwd is what?", "/a\nb", "run /help"])
def test_tasks_may_begin_with_a_slash(text: str) -> None:
    assert not is_command(text)


def test_the_argument_is_what_follows_the_name() -> None:
    command, argument = parse("/run  my tasks/a b.md ")
    assert (command.name, argument) == ("run", "my tasks/a b.md")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("/modle x", "did you mean /model?"),
        ("/zzz", "/help lists them"),
        ("/clear now", "no argument"),
        ("/run", "task file"),
    ],
)
def test_errors_say_what_to_do(text: str, part: str) -> None:
    with pytest.raises(SlashError, match=part.replace("?", r"\?")):
        parse(text)


def test_matching_stops_at_the_argument() -> None:
    assert matching("/") == COMMANDS
    assert [command.name for command in matching("/M")] == ["model"]
    assert matching("/model ") == ()
    assert matching("hello") == ()
