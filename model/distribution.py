"""What the distribution says of itself, installed or run from a checkout: its version and entry points.

A checkout that was put on PYTHONPATH has no package metadata; its pyproject.toml, beside the packages, says
the same. `verify` and `model` know nothing of each other, so each has this file, word for word (a test
compares them); `agent` and `evals` use this one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NAME = "trihead"
F = TypeVar("F", bound=Callable[..., Any])
_PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def version() -> str:
    """Of the installed distribution, else of the checkout; `unknown` where neither says."""
    from importlib import metadata

    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return str(_checkout().get("version", "unknown"))


def entry_points(group: str) -> list[EntryPoint]:
    """What every installed distribution registers under `group`, and this one where it is not installed."""
    from importlib import metadata

    found = {point.name: point for point in metadata.entry_points(group=group)}
    for name, value in _checkout().get("entry-points", {}).get(group, {}).items():
        found.setdefault(name, metadata.EntryPoint(name, value, group))
    return list(found.values())


def version_option() -> Callable[[F], F]:
    """`--version`; reads the version only when it is asked for."""

    def show(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
        if asked and not ctx.resilient_parsing:
            click.echo(f"{ctx.find_root().info_name}, version {version()}")
            ctx.exit()

    return click.option(
        "--version",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help="Show the version and exit.",
    )


def _checkout() -> dict[str, Any]:
    """`[project]` of the pyproject.toml beside the packages; {} where it is not ours."""
    try:
        project: dict[str, Any] = tomllib.loads(_PROJECT.read_text("utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return {}
    return project if project.get("name") == NAME else {}
