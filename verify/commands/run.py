"""`verify run`: one program, its tests, one verdict."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from verify.limits import Limits
from verify.request import COMMAND_LIMITS, CheckRequest, CommandCheck, FunctionCheck, ProgramCheck
from verify.verdict import Status, Verdict

LEVELS = ("auto", "worker", "run-rs", "run-c", "run-cu")
LANGUAGES = {".py": "python", ".bend": "bend"}
_EXIT = {Status.PASSED: 0, Status.UNAVAILABLE: 5, Status.INTERNAL_ERROR: 5, Status.UNSUPPORTED: 2}


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--entry", help="The function to call. Without it a .py file runs as a program.")
@click.option("--cases", "cases_file", type=click.Path(path_type=Path), help="JSON file of cases.")
@click.option("--test-cmd", help='For a folder: the test command, e.g. "pytest -q".')
@click.option("--protect", multiple=True, help="With --test-cmd: a path taken from --pristine. Repeatable.")
@click.option(
    "--pristine",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="An untouched copy of the folder.",
)
@click.option("--property", "property_name", help="Bend: a function that must hold for generated inputs.")
@click.option(
    "--property-file", type=click.Path(path_type=Path), help="Bend: trusted file with the property."
)
@click.option("--generator", default="", help="Bend: a function u24 -> input, in the property file.")
@click.option(
    "--cases-log2",
    default=10,
    type=click.IntRange(0, 22),
    show_default=True,
    help="Bend: 2^K inputs for --property.",
)
@click.option(
    "--level", default="auto", show_default=True, type=click.Choice(LEVELS), help="Bend: how it runs."
)
@click.option("--backend", default="auto", show_default=True, help="auto, bubblewrap, docker or subprocess.")
@click.option("--limits", "limit_words", multiple=True, metavar="K=V", help="Such as wall_s=2 or mem_mb=256.")
@click.option(
    "--seed", default=0, show_default=True, help="Seed of `random` in the candidate, and of the order."
)
@click.option("--unsafe", is_flag=True, help="Allow the subprocess backend, which is no sandbox.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as one JSON object.")
def run(
    path: Path,
    entry: str | None,
    cases_file: Path | None,
    test_cmd: str | None,
    protect: tuple[str, ...],
    pristine: Path | None,
    property_name: str | None,
    property_file: Path | None,
    generator: str,
    cases_log2: int,
    level: str,
    backend: str,
    limit_words: tuple[str, ...],
    seed: int,
    unsafe: bool,
    as_json: bool,
) -> int:
    """Check PATH against its tests and print the verdict.

    PATH is a .py or .bend file with --cases (a list of {"args": [...], "expected": ...}; see docs/verify.md),
    or a folder with --test-cmd. Exit code: 0 only when every test passed, 1 for the program's faults, 2 for a
    request that cannot be judged, 5 when the sandbox is missing or broke.
    """
    from verify.cases import CasesError

    try:
        if property_name is not None:
            words = {"property": property_name, "generator": generator, "log2_cases": cases_log2}
            verdict = _property(path, property_file, words, limit_words, level)
        else:
            request = _request(path, entry, cases_file, test_cmd, protect, pristine, limit_words, seed)
            verdict = _check(request, backend, unsafe, level)
    except (CasesError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps(verdict.to_dict()))
    else:
        _show(verdict)
    return exit_code(verdict.status)


def exit_code(status: Status) -> int:
    return _EXIT.get(status, 1)


def parse_limits(words: tuple[str, ...], base: Limits) -> Limits:
    """`("wall_s=2", "mem_mb=256")` on top of `base`. Raises ValueError with the known names."""
    fields = {field.name: type(getattr(base, field.name)) for field in dataclasses.fields(Limits)}
    changes: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in fields:
            raise ValueError(f"unknown limit {name!r}; known are {', '.join(fields)}")
        try:
            changes[name] = fields[name](value)
        except ValueError:
            wanted = "a whole number" if fields[name] is int else "a number"
            raise ValueError(f"the limit {name} is {value!r}, {wanted} is wanted") from None
    return dataclasses.replace(base, **changes)


def _request(
    path: Path,
    entry: str | None,
    cases_file: Path | None,
    test_cmd: str | None,
    protect: tuple[str, ...],
    pristine: Path | None,
    limit_words: tuple[str, ...],
    seed: int,
) -> CheckRequest:
    from verify.cases import UnknownKeyError, read_cases, read_program_cases

    if path.is_dir():
        if not test_cmd:
            raise ValueError(f"{path} is a folder: give its tests with --test-cmd")
        if entry is not None or cases_file is not None:
            raise ValueError(f"{path} is a folder: --entry and --cases are for a .py or .bend file")
        limits = parse_limits(limit_words, COMMAND_LIMITS)
        return CommandCheck(path, tuple(shlex.split(test_cmd)), protect, pristine, limits)
    if test_cmd:
        raise ValueError("--test-cmd is for a folder")
    lang = LANGUAGES.get(path.suffix)
    if lang is None:
        raise ValueError(f"{path}: the suffix must say the language, one of {', '.join(LANGUAGES)}")
    if cases_file is None:
        raise ValueError("no tests: give --cases FILE (without tests nothing can pass)")
    limits = parse_limits(limit_words, Limits())
    code = _source(path)
    if entry is None:
        if lang == "bend":
            raise ValueError("a .bend file needs --entry")
        try:
            cases = read_program_cases(cases_file)
        except UnknownKeyError as error:
            raise ValueError(f"{error}; to call a function with these cases, name it with --entry") from None
        return ProgramCheck({path.name: code}, path.name, cases, limits=limits)
    return FunctionCheck(
        code, entry, read_cases(cases_file), "bend" if lang == "bend" else "python", limits, seed
    )


def _source(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


def _check(request: CheckRequest, backend: str, unsafe: bool, level: Any) -> Verdict:
    if isinstance(request, FunctionCheck) and request.lang == "bend":
        if level in ("run-c", "run-cu"):
            raise ValueError(f"--level {level} is for --property only")
        from verify import bend

        try:
            return bend.check_function(request, level=level)
        finally:
            bend.close()
    from verify.checker import open_checker

    with open_checker(backend, jobs=1, unsafe=unsafe) as checker:
        return checker.check(request)


def _property(
    path: Path, property_file: Path | None, words: dict[str, Any], limit_words: tuple[str, ...], level: Any
) -> Verdict:
    from verify import bend
    from verify.bend.property import PropertyCheck

    if path.suffix != ".bend":
        raise ValueError("--property needs a .bend file")
    limits = parse_limits(limit_words, Limits())
    trusted = _source(property_file) if property_file else ""
    check = PropertyCheck(code=_source(path), property_code=trusted, limits=limits, **words)
    try:
        return bend.check_property(check, level=level)
    finally:
        bend.close()


def _show(verdict: Verdict) -> None:
    from rich.console import Console
    from rich.text import Text

    from verify.terminal import line, plain

    console = Console(highlight=False, file=sys.stdout)
    colour = "green" if verdict.ok else "yellow" if not verdict.rewardable else "red"
    head = Text.assemble(
        (str(verdict.status).upper(), f"bold {colour}"), f"  {verdict.passed}/{verdict.total}"
    )
    if verdict.wall_ms:
        head.append(f"  {verdict.wall_ms:.1f} ms", "dim")
    console.print(head)
    if verdict.detail:
        console.print(Text(line(verdict.detail, 600)))
    for name, text, cut in (
        ("stdout", verdict.stdout, verdict.stdout_truncated),
        ("stderr", verdict.stderr, verdict.stderr_truncated),
    ):
        if text.strip():
            console.print(Text(f"{name}{' (cut)' if cut else ''}:", "dim"))
            console.print(Text(plain(text.rstrip())))
    where = " ".join(filter(None, (verdict.backend, verdict.backend_version)))
    console.print(Text(f"{where}: {verdict.isolation}" if verdict.isolation else where, "dim"))
