"""Turns of an agent, made of a function: the prompt forms that the agent package sends, and tool calls.

The texts are those of `agent/prompts` (a test compares them); this package may not import that one. Evidence
and plans are filled in from the function itself, nothing is run.
"""

from __future__ import annotations

import json
import random
import re

from model.data.functions import Function

Messages = tuple[tuple[str, str], ...]

INFILL = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code "
    "block:\n{task}"
)
INFILL_PREFILL = (
    "Below is a Python script with a self-contained function that solves the problem and passes "
    "corresponding tests:\n```python\n{scaffold}"
)
REPAIR = "That is not right yet.\n\n{evidence}\n\nFind the mistake and write the corrected function."
REPAIR_PREFILL = "The corrected function, which passes this test and the others:\n```python\n{scaffold}"
EDIT = (
    "{task}\n\n{path} now:\n```\n{code}\n```\n\n\nAnswer with the complete new content of {path} in one code "
    "block per file, with the file's name on the line before the block, like this:\n\n{path}\n```python\n"
    "...\n```"
)
EDIT_TASKS = (
    "Rename the parameter `{name}` of `{function}` to `{other}`.",
    "Let `{function}` raise a ValueError with a clear message when `{name}` is None.",
    "Add type hints to `{function}`.",
    "Log the arguments of `{function}` at debug level.",
    "`{function}` gives a wrong result for an empty input. Mend it.",
    "Split `{function}` into two functions.",
)
_TOOLS = (
    ("read_file", "Read a file of the workspace.", ("path",)),
    ("write_file", "Write the whole content of a file.", ("path", "content")),
    ("apply_diff", "Apply a unified diff to a file.", ("path", "diff")),
    ("run_tests", "Run the tests of the workspace.", ("path",)),
)
_HERMES = (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided "
    "with function signatures within <tools></tools> XML tags:\n<tools>\n{tools}\n</tools>\n\nFor each "
    "function call, return a json object with function name and arguments within <tool_call></tool_call> "
    'XML tags:\n<tool_call>\n{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
)
_XML = (
    "\n\nYou have access to these functions:\n\n{tools}\n\nTo call one, answer in this form and with nothing "
    "after it:\n\n<tool_call>\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n</function>\n"
    "</tool_call>"
)
_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
_DOCTEST = re.compile(r"^>>> (.+)\n(?!>>>|\.\.\.)(\S.*)$", re.MULTILINE)
MAX_CODE = 1800  # characters


def scaffold(function: Function) -> Messages:
    """The agent's first answer: task, then a prefill that ends with signature and docstring."""
    user = INFILL.format(task=function.doc)
    return ("user", user), ("assistant", INFILL_PREFILL.format(scaffold=function.prompt))


def repair(function: Function, rng: random.Random) -> Messages:
    """A failed attempt and its evidence (from a docstring example where there is one), then a prefill."""
    attempt = "\n".join(damaged(function.code.splitlines(), rng))
    user = REPAIR.format(evidence=evidence(function))
    return (
        ("user", INFILL.format(task=function.doc)),
        ("assistant", f"```python\n{attempt.strip()}\n```"),
        ("user", user),
        ("assistant", REPAIR_PREFILL.format(scaffold=function.prompt)),
    )


def evidence(function: Function) -> str:
    """What a failed check would say."""
    if example := _DOCTEST.search(function.doc):
        return f"{example[1]} returned None.\nIt should return {example[2]}."
    return f"{function.name} raised AssertionError in a test."


def damaged(lines: list[str], rng: random.Random) -> list[str]:
    """The program with one line of its second half lost."""
    if len(lines) < 4:
        return lines
    lost = rng.randrange(len(lines) // 2, len(lines))
    return lines[:lost] + lines[lost + 1 :]


def edit(function: Function, module: str, before: str, rng: random.Random) -> Messages:
    """A change to a file, answered with the whole file."""
    names = re.findall(r"(\w+)\s*[:=,)]", function.signature.partition("(")[2]) or ["value"]
    name = next((n for n in names if n not in ("self", "cls")), "value")
    task = rng.choice(EDIT_TASKS).format(name=name, function=function.name, other=f"new_{name}")
    code = f"{before}\n\n\n{function.code}".strip()
    path = module.rpartition("/")[2] or "module.py"
    return (("user", EDIT.format(task=task, path=path, code=code)),)


def tools(function: Function, module: str, rng: random.Random) -> Messages:
    """Tools in Hermes's JSON or Qwen3-Coder's XML form; the conversation stops before or after a call."""
    hermes = rng.random() < 0.5
    listed = "\n".join(_tool(*tool) for tool in _TOOLS)
    path = module.rpartition("/")[2] or "module.py"
    user = f"In {path}, {rng.choice(('mend', 'improve', 'write tests for', 'document'))} `{function.name}`: "
    user += function.doc.splitlines()[0]
    system = _SYSTEM + (_HERMES if hermes else _XML).format(tools=listed)
    messages = [("system", system), ("user", user)]
    if rng.random() < 0.7:
        messages.append(("assistant", _call(hermes, "read_file", path)))
        messages.append(("user", f"<tool_response>\n{function.code}\n</tool_response>"))
    return tuple(messages)


def _tool(name: str, about: str, keys: tuple[str, ...]) -> str:
    properties = {key: {"type": "string"} for key in keys}
    parameters = {"type": "object", "properties": properties, "required": list(keys)}
    inner = {"name": name, "description": about, "parameters": parameters}
    return json.dumps({"type": "function", "function": inner})


def _call(hermes: bool, name: str, path: str) -> str:
    if hermes:
        return f"<tool_call>\n{json.dumps({'name': name, 'arguments': {'path': path}})}\n</tool_call>"
    return (
        f"<tool_call>\n<function={name}>\n<parameter=path>\n{path}\n</parameter>\n</function>\n</tool_call>"
    )
