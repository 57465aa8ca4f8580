"""What a command line of ours shares with the others: sub-commands that are imported only when they run,
numbers, and one way to end.

`verify` and `model` know nothing of each other, so each has this file, word for word (a test compares them);
`agent` and `evals` use this one.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import click


class LazyGroup(click.Group):
    """Lists its commands from a table and imports one only to run it or to show its own help.

    table: name -> (`module:command`, what the group's help says of it), in the order of the help.
    """

    def __init__(self, *, table: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._table:
            return None
        module, attribute = self._table[name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self._table and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self._table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self._table.items()])


class Number(click.FloatRange):
    """A finite number within the range; `nan` and `inf`, which compare as they like, are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def run(
    group: click.Group,
    argv: list[str] | None,
    *,
    known: tuple[type[Exception], ...] = (),
    system: int = 5,
    interrupted: str = "interrupted",
) -> NoReturn:
    """Run the command line and exit with the documented code, after one clear line where it failed.

    known: errors whose text is that line and whose `exit_code` is the code. system: the code where the disk
    or the machine fails. SIGTERM and SIGHUP end a command as Ctrl-C does (130), so that what it holds is put
    away. A reader of our output that has gone (`| head`) is an interruption without a word.
    """
    out = sys.stdout
    home = os.environ.get("TRIHEAD_HOME")
    if home and os.path.exists(home) and not os.path.isdir(home):
        click.echo(f"error: TRIHEAD_HOME is {home}, which is no folder; set it to one", err=True)
        sys.exit(2)
    try:
        with _ended_in_order():
            code = group.main(args=argv, prog_name=group.name, standalone_mode=False)
            sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo(interrupted, err=True)
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"error: {_one_line(error)}", err=True)
        sys.exit(2)
    except known as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(getattr(error, "exit_code", system))
    except BrokenPipeError:
        _unread()
    except SystemExit:
        if sys.stdout is not out:  # click met the broken pipe: it took stdout away and says 1, a failed check
            _unread()
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "; make room, or set TRIHEAD_HOME to a larger disk" if full else ""
        click.echo(f"error: {where}{error.strerror or error}{mend}", err=True)
        sys.exit(system)
    sys.exit(code if isinstance(code, int) else 0)


def _unread() -> NoReturn:
    """Exit; what is still buffered must not raise again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(130)


def _one_line(error: click.ClickException) -> str:
    """What is wrong and which help page lists what would be right."""
    message = " ".join(error.format_message().split())
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is None:
        return message
    return f"{message}{'' if message[-1:] in '.?!)' else '.'} See '{ctx.command_path} --help'."


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    # A signal that is ignored stays so: `nohup` asks for it.
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
