"""Tasks for the whole agent: a task.md with visible cases, a workspace, and hidden inputs that decide.

Some start from nothing, some from a file that has a bug or lacks a feature. `solution` is the wanted content
of `file`; its results on the hidden inputs are what is right.
"""

# ruff: noqa: E501 - tasks are data: a sentence or a program stays on one line

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AgentTask:
    name: str
    category: str
    text: str
    file: str
    entry: str
    solution: str
    visible: tuple[tuple[Any, ...], ...]
    hidden: tuple[tuple[Any, ...], ...]
    before: str = ""

    def task_md(self) -> str:
        """The task file, with the visible inputs and their results as cases."""
        rows = [
            {"args": list(args), "expected": result}
            for args, result in zip(self.visible, self.results(self.visible), strict=True)
        ]
        front = f"files: [{self.file}]\nentry: {self.entry}\ncases: {json.dumps(rows)}\n"
        return f"---\n{front}---\n{self.text.strip()}\n"

    def results(self, inputs: tuple[tuple[Any, ...], ...]) -> list[Any]:
        """What the solution gives (our own code, so it is run here)."""
        namespace: dict[str, Any] = {}
        exec(compile(self.solution, self.file, "exec"), namespace)
        return [namespace[self.entry](*json.loads(json.dumps(args))) for args in inputs]


def _new(name: str, text: str, solution: str, visible: tuple[Any, ...], hidden: tuple[Any, ...]) -> AgentTask:
    entry = solution.split("def ", 1)[1].split("(", 1)[0]
    return AgentTask(name, "new file", text, f"{name}.py", entry, solution.lstrip("\n"), visible, hidden)


def _changed(
    name: str,
    category: str,
    text: str,
    before: str,
    changes: tuple[tuple[str, str], ...],
    visible: tuple[Any, ...],
    hidden: tuple[Any, ...],
) -> AgentTask:
    solution = before
    for old, new in changes:
        if solution.count(old) != 1:
            raise ValueError(f"{name}: {old!r} occurs {solution.count(old)} times")
        solution = solution.replace(old, new)
    entry = before.split("def ", 1)[1].split("(", 1)[0]
    return AgentTask(
        name, category, text, f"{name}.py", entry, solution.lstrip("\n"), visible, hidden, before.lstrip("\n")
    )


AGENT_TASKS: tuple[AgentTask, ...] = (
    _new(
        "duration",
        "Write `seconds(text)` in `duration.py`: the number of seconds in a duration such as `1h30m`, `45s` or `2d`. "
        "Units are d, h, m and s, each at most once and in this order; the empty text is 0.",
        """
def seconds(text):
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    total, number = 0, ""
    for char in text:
        if char.isdigit():
            number += char
        else:
            total += int(number) * units[char]
            number = ""
    return total
""",
        (("1h30m",), ("45s",)),
        (("",), ("2d",), ("1d1h1m1s",), ("100m",), ("0s",)),
    ),
    _new(
        "columns",
        "Write `column_name(index)` in `columns.py`: the name of a spreadsheet column. 1 is A, 26 is Z, 27 is AA, 28 is AB.",
        """
def column_name(index):
    name = ""
    while index > 0:
        index, rest = divmod(index - 1, 26)
        name = chr(65 + rest) + name
    return name
""",
        ((1,), (27,)),
        ((26,), (28,), (52,), (53,), (702,), (703,), (16384,)),
    ),
    _new(
        "postfix",
        "Write `evaluate(expression)` in `postfix.py`: the value of an expression in postfix order, such as `3 4 + 2 *`, "
        "which is 14. Operators are + - * and / (whole-number division rounded down). Return None when it is malformed.",
        """
def evaluate(expression):
    stack = []
    for token in expression.split():
        if token in ("+", "-", "*", "/"):
            if len(stack) < 2:
                return None
            right, left = stack.pop(), stack.pop()
            if token == "+":
                stack.append(left + right)
            elif token == "-":
                stack.append(left - right)
            elif token == "*":
                stack.append(left * right)
            elif right == 0:
                return None
            else:
                stack.append(left // right)
        elif token.lstrip("-").isdigit():
            stack.append(int(token))
        else:
            return None
    return stack[0] if len(stack) == 1 else None
""",
        (("3 4 + 2 *",), ("1 +",)),
        (("5",), ("",), ("1 2",), ("7 2 /",), ("-7 2 /",), ("2 3 -",), ("1 0 /",), ("2 x +",)),
    ),
    _new(
        "template",
        "Write `render(text, values)` in `template.py`: replace each `{name}` in text with the value of that name in the "
        "dictionary values. An unknown name stays as it is; `{{` stands for a single `{`.",
        """
def render(text, values):
    result, index = "", 0
    while index < len(text):
        if text.startswith("{{", index):
            result += "{"
            index += 2
            continue
        if text[index] == "{":
            end = text.find("}", index)
            name = text[index + 1:end] if end != -1 else None
            if name in values:
                result += str(values[name])
                index = end + 1
                continue
        result += text[index]
        index += 1
    return result
""",
        (("Hello {name}!", {"name": "Ada"}), ("{who}", {})),
        (("{a}{b}", {"a": 1, "b": 2}), ("{{a}", {"a": 1}), ("no end {a", {"a": 1}), ("", {}), ("{a} {x} {a}", {"a": "z"})),
    ),
    _new(
        "versions",
        "Write `compare(a, b)` in `versions.py`: compare version numbers such as `1.10.2` part by part as numbers. "
        "Return -1, 0 or 1. Missing parts count as 0.",
        """
def compare(a, b):
    first = [int(part) for part in a.split(".")]
    second = [int(part) for part in b.split(".")]
    size = max(len(first), len(second))
    first += [0] * (size - len(first))
    second += [0] * (size - len(second))
    return (first > second) - (first < second)
""",
        (("1.2", "1.10"), ("1.0", "1")),
        (("2", "1.9.9"), ("1.0.1", "1"), ("0.0", "0"), ("1.2.3", "1.2.3"), ("10.0", "9.99")),
    ),
    _new(
        "changes",
        "Write `changes(before, after)` in `changes.py`: compare two dictionaries. Return a sorted list of lines: "
        "`+ key` for a new key, `- key` for a missing one, `~ key` for one whose value changed. Sort by key.",
        """
def changes(before, after):
    lines = []
    for key in sorted({*before, *after}):
        if key not in before:
            lines.append("+ " + key)
        elif key not in after:
            lines.append("- " + key)
        elif before[key] != after[key]:
            lines.append("~ " + key)
    return lines
""",
        (({"a": 1}, {"a": 2, "b": 3}), ({}, {})),
        (({"a": 1, "b": 2}, {"b": 2}), ({"z": 0}, {"a": 0}), ({"a": [1]}, {"a": [1]}), ({"a": 1, "m": 1}, {"m": 2, "z": 3})),
    ),
    _new(
        "cache",
        "Write `keys_after(size, uses)` in `cache.py`: simulate a cache that holds `size` keys and drops the one that was "
        "used longest ago. `uses` is the list of keys used in order. Return the keys in the cache, longest unused first.",
        """
def keys_after(size, uses):
    kept = []
    for key in uses:
        if key in kept:
            kept.remove(key)
        kept.append(key)
        if len(kept) > size:
            kept.pop(0)
    return kept
""",
        ((2, ["a", "b", "a", "c"]), (1, [])),
        ((2, ["a", "b", "c"]), (3, ["a", "a", "a"]), (1, ["x", "y", "x"]), (0, ["a"]), (3, ["a", "b", "c", "a", "d"])),
    ),
    _new(
        "totals",
        "Write `totals(lines)` in `totals.py`: each line is `name,amount` with a whole amount. Return a dictionary from "
        "each name to the sum of its amounts. Skip empty lines and lines whose amount is no whole number.",
        """
def totals(lines):
    sums = {}
    for line in lines:
        name, comma, amount = line.partition(",")
        amount = amount.strip()
        if comma and amount.lstrip("-").isdigit():
            sums[name.strip()] = sums.get(name.strip(), 0) + int(amount)
    return sums
""",
        ((["a,1", "b,2", "a,3"],), ([],)),
        ((["a,x", "", "a,5"],), (["a,-2", "a,2"],), ([" a , 7 "],), (["nothing"],)),
    ),
    _changed(
        "ledger", "bug",
        "`ledger.py` keeps an account that must never go below zero: a withdrawal that is larger than the balance is "
        "skipped. A customer reports that withdrawing everything is refused. Find the mistake and mend it.",
        """
def balance(start, movements):
    total = start
    for movement in movements:
        if movement < 0 and -movement >= total:
            continue
        total += movement
    return total
""",
        ((">= total", "> total"),),
        ((100, [-100]), (100, [-150, 20])),
        ((0, [-1, 5]), (50, [-20, -30]), (10, []), (10, [-11, -10, 1]), (0, [5, -5, -5])),
    ),
    _changed(
        "pages", "bug",
        "`page_count` in `pages.py` says how many pages a list of items takes. It is wrong when the last page is full, "
        "and no items must give 0 pages. Mend it.",
        """
def page_count(items, per_page):
    return items // per_page + 1
""",
        (("items // per_page + 1", "(items + per_page - 1) // per_page"),),
        ((10, 5), (11, 5)),
        ((0, 5), (1, 5), (5, 5), (4, 1), (99, 100), (200, 100)),
    ),
    _changed(
        "todo", "feature",
        "`open_items` in `todo.py` lists what is not done yet. Items may also carry a number `priority`: list those with a "
        "higher priority first; items without one count as 0, and equal ones keep their order.",
        """
def open_items(items):
    return [item["title"] for item in items if not item.get("done")]
""",
        (('[item["title"] for item in items if not item.get("done")]', '[item["title"] for item in sorted(items, key=lambda i: -i.get("priority", 0)) if not item.get("done")]'),),
        (([{"title": "a"}, {"title": "b", "priority": 2}],), ([{"title": "a", "done": True}],)),
        (([],), ([{"title": "a", "priority": 1}, {"title": "b", "priority": 1}],), ([{"title": "x"}, {"title": "y", "priority": -1}, {"title": "z"}],), ([{"title": "a", "priority": 9, "done": True}, {"title": "b"}],)),
    ),
    _changed(
        "grades", "feature",
        "`average` in `grades.py` averages numbers. Add that the lowest grade is dropped when there are three or more, "
        "and that no grades give 0.",
        """
def average(grades):
    return sum(grades) / len(grades)
""",
        (("    return sum(grades) / len(grades)", "    if not grades:\n        return 0\n    if len(grades) >= 3:\n        grades = sorted(grades)[1:]\n    return sum(grades) / len(grades)"),),
        (([4, 2],), ([1, 5, 3],)),
        (([],), ([2],), ([2, 2, 2],), ([5, 1, 1, 1],), ([10, 0, 20, 30],)),
    ),
    _changed(
        "slots", "feature",
        "`free` in `slots.py` lists the free hours of a day that is open from 9 to 17. Make opening and closing hour "
        "parameters with these defaults: `free(booked, opens=9, closes=17)`.",
        """
def free(booked):
    return [hour for hour in range(9, 17) if hour not in booked]
""",
        (("def free(booked):", "def free(booked, opens=9, closes=17):"), ("range(9, 17)", "range(opens, closes)")),
        (([10, 11],), ([], 8, 10)),
        (([],), ([8], 8, 9), ([9, 10, 11, 12, 13, 14, 15, 16],), ([12], 11, 14), ([], 5, 5)),
    ),
)  # fmt: skip
