"""What the model is told: one small Jinja file a prompt, beside this one. An unknown variable is an error.

render("plan", task="Write ...")
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jinja2


@functools.cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    # The output is a prompt, not HTML; values are data and are never rendered as templates.
    return jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, autoescape=False)


def render(prompt: str, **values: Any) -> str:
    """The text of `prompts/<prompt>.md` with its variables filled in."""
    return _environment().get_template(f"{prompt}.md").render(**values)
