"""Write docs/cli/*.md from the commands' own --help, or check that they are not stale.

python docs/build.py            write
python docs/build.py --check    exit 1 and name the stale files
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

CLI = Path(__file__).parent / "cli"
COMMANDS = ("agent", "evals", "model", "verify")


def help_pages(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Yield (command path, help text) for a command and everything below it."""
    yield ctx.command_path, command.get_help(ctx)
    if isinstance(command, click.Group):
        for name in sorted(command.list_commands(ctx)):
            child = command.get_command(ctx, name)
            if child is not None and not child.hidden:
                yield from help_pages(child, click.Context(child, info_name=name, parent=ctx))


def page(name: str) -> str:
    root = importlib.import_module(f"{name}.cli").cli
    ctx = root.context_class(
        root, info_name=name, terminal_width=100, max_content_width=100, **root.context_settings
    )
    parts = [f"# `{name}`\n\nMade by `make docs` from `{name} --help`.\n"]
    for path, text in help_pages(root, ctx):
        parts.append(f"## {path}\n\n```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = []
    CLI.mkdir(exist_ok=True)
    for name in COMMANDS:
        target, text = CLI / f"{name}.md", page(name)
        if target.exists() and target.read_text() == text:
            continue
        stale.append(target)
        if not check:
            target.write_text(text)
    if check and stale:
        print("stale: " + ", ".join(str(p) for p in stale) + " (run `make docs`)")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
