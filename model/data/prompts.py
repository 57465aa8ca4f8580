"""Prompts made of a function: how a person, a benchmark or an agent would ask for it.

`pose(function, rng)` picks a form and returns a `Prompt`, either a chat or raw text to continue.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from model.data.functions import Function

EVALPLUS_USER = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code "
    "block:\n```\n{}\n```\n"
)
EVALPLUS_PREFILL = (
    "Below is a Python script with a self-contained function that solves the problem and passes "
    "corresponding tests:\n```python\n"
)

# Share of each form. EvalPlus's form (with and without its prefill) leads, because benchmarks and many
# harnesses use it.
FORMS = {
    "evalplus": 0.34,
    "evalplus-open": 0.12,
    "complete": 0.14,
    "implement": 0.10,
    "edit": 0.15,
    "raw": 0.15,
}
EDITS = (
    "Add type hints to this function and keep its behaviour:\n\n```python\n{}\n```",
    "Rewrite this function so that it is easier to read. Return the whole function:\n\n```python\n{}\n```",
    "Write pytest tests for this function:\n\n```python\n{}\n```",
    "This function lacks input checks. Add them and return the full code:\n\n```python\n{}\n```",
    "Find and fix the bug in this code, if there is one. Return the corrected code:\n\n```python\n{}\n```",
    "Rename the variables of this function to clearer names:\n\n```python\n{}\n```",
)
MAX_EDIT_CODE = 1500  # characters


@dataclass(frozen=True, slots=True)
class Prompt:
    """`messages` (role, content) for a chat, whose last one may be an assistant prefill, or `text` for raw
    code."""

    form: str
    messages: tuple[tuple[str, str], ...] = ()
    text: str = ""
    meta: dict[str, str] = field(default_factory=dict)


def pose(function: Function, rng: random.Random) -> Prompt:
    """One prompt for `function`; deterministic in `rng`."""
    form = rng.choices(list(FORMS), list(FORMS.values()))[0]
    if form == "edit" and len(function.code) > MAX_EDIT_CODE:
        form = "evalplus"
    if form == "raw":
        return Prompt(form, text=function.prompt)
    if form == "evalplus":
        user = EVALPLUS_USER.format(function.prompt.strip())
        return Prompt(form, (("user", user), ("assistant", EVALPLUS_PREFILL)))
    if form == "evalplus-open":
        user = EVALPLUS_USER.format(function.prompt.strip())
    elif form == "complete":
        user = f"Complete the following Python function.\n\n```python\n{function.prompt}```"
    elif form == "edit":
        user = rng.choice(EDITS).format(function.code.strip())
    else:
        signature = " ".join(function.signature.split())
        user = f"Implement `{signature.rstrip(':')}` in Python.\n\n{function.doc}"
    return Prompt(form, (("user", user),))
