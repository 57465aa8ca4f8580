"""What every command line of ours promises of its help."""

from __future__ import annotations

import importlib

import click
import pytest


@pytest.mark.parametrize("name", ["agent", "evals", "model", "verify"])
def test_help_fits_80_columns(name: str) -> None:
    group = importlib.import_module(f"{name}.cli").cli
    context = click.Context(group, info_name=name)
    for command in group.list_commands(context):
        found = group.get_command(context, command)
        text = found.get_help(click.Context(found, info_name=command, terminal_width=80))
        assert max(map(len, text.splitlines())) <= 80, f"{name} {command}"
