"""Prompts made of a function: how a person, a benchmark or an agent would ask for it.

`poses(function, rng)` picks forms and returns `Prompt`s, each a chat or raw text to continue.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from model.data import agent_prompts
from model.data.functions import Function

EVALPLUS_USER = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code "
    "block:\n```\n{}\n```\n"
)
EVALPLUS_PREFILL = (
    "Below is a Python script with a self-contained function that solves the problem and passes "
    "corresponding tests:\n```python\n"
)

# Share of each form. A third is raw code to continue, since its drafts are the ones that fail most; of the
# chats EvalPlus's form (with and without its prefill) leads, because benchmarks and many harnesses use it.
# scaffold, repair, file-edit and tools are the turns of an agent.
FORMS = {
    "evalplus": 0.19,
    "evalplus-open": 0.09,
    "complete": 0.08,
    "implement": 0.08,
    "edit": 0.10,
    "raw": 0.14,
    "raw-cut": 0.10,
    "raw-file": 0.08,
    "scaffold": 0.06,
    "repair": 0.03,
    "file-edit": 0.03,
    "tools": 0.02,
}
EDITS = (
    "Add type hints to this function and keep its behaviour:\n\n```python\n{}\n```",
    "Rewrite this function so that it is easier to read. Return the whole function:\n\n```python\n{}\n```",
    "Write pytest tests for this function:\n\n```python\n{}\n```",
    "This function lacks input checks. Add them and return the full code:\n\n```python\n{}\n```",
    "Find and fix the bug in this code, if there is one. Return the corrected code:\n\n```python\n{}\n```",
    "Rename the variables of this function to clearer names:\n\n```python\n{}\n```",
)
BRIEF = ("", "", "\n\nAnswer with the code only.", "\n\nNo explanation, just the function in a code block.")
MAX_EDIT_CODE = 1500  # characters


@dataclass(frozen=True, slots=True)
class Prompt:
    """`messages` (role, content) for a chat, whose last one may be an assistant prefill, or `text` for raw
    code."""

    form: str
    messages: tuple[tuple[str, str], ...] = ()
    text: str = ""
    meta: dict[str, str] = field(default_factory=dict)


def poses(
    function: Function, rng: random.Random, count: int = 1, *, module: str = "", before: str = ""
) -> list[Prompt]:
    """Up to `count` prompts for `function`, each of another form; deterministic in `rng`. module: path of its
    file; before: code that stands above it there."""
    wanted: list[str] = []
    for _ in range(count):
        left = {form: share for form, share in FORMS.items() if form not in wanted}
        wanted.append(rng.choices(list(left), list(left.values()))[0])
    made = {prompt.form: prompt for prompt in (_pose(f, function, rng, module, before) for f in wanted)}
    return list(made.values())


def _pose(form: str, function: Function, rng: random.Random, module: str, before: str) -> Prompt:
    """A prompt of `form`, or of a simpler form where the function is too long for it."""
    code = function.code
    if form in ("edit", "tools") and len(code) > MAX_EDIT_CODE:
        form = "evalplus"
    if form in ("repair", "file-edit") and len(code) + len(before) > agent_prompts.MAX_CODE:
        form = "scaffold"
    if form.startswith("raw"):
        return Prompt(form, text=_raw(form, function, rng, before))
    if form == "scaffold":
        return Prompt(form, agent_prompts.scaffold(function))
    if form == "repair":
        return Prompt(form, agent_prompts.repair(function, rng))
    if form == "file-edit":
        return Prompt(form, agent_prompts.edit(function, module, before, rng))
    if form == "tools":
        return Prompt(form, agent_prompts.tools(function, module, rng))
    if form.startswith("evalplus"):
        user = EVALPLUS_USER.format(function.prompt.strip())
        prefill = (("assistant", EVALPLUS_PREFILL),) if form == "evalplus" else ()
        return Prompt(form, (("user", user), *prefill))
    if form == "complete":
        user = f"Complete the following Python function.\n\n```python\n{function.prompt}```"
    elif form == "edit":
        user = rng.choice(EDITS).format(code.strip())
    else:
        signature = " ".join(function.signature.split())
        user = f"Implement `{signature.rstrip(':')}` in Python.\n\n{function.doc}" + rng.choice(BRIEF)
    return Prompt(form, (("user", user),))


def _raw(form: str, function: Function, rng: random.Random, before: str) -> str:
    """Code to continue: the head of the function, the function cut after some of its lines, or its head below
    other code of its file."""
    if form == "raw-file" and before:
        return f"{before}\n\n\n{function.prompt}"
    lines = function.code.splitlines(keepends=True)
    if form == "raw-cut" and len(lines) >= 4:
        return "".join(lines[: rng.randrange(len(lines) // 2, len(lines))])
    return function.prompt
