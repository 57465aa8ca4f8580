"""Which trajectories are worth learning from, and why the others are not.

A trajectory is kept when its task is no benchmark's, it was solved, its program passes once more in a fresh
sandbox, it took no more forward passes than the median of its task's own passes, it does not just list the
examples, and no kept one says the same. Everything else is dropped under exactly one reason; what came from
a benchmark or a held-out task is refused and listed.
"""

from __future__ import annotations

import ast
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import python_code
from agent.errors import FinetuneError, FinetuneSandboxError
from agent.examples import cases_in_text
from agent.finetune.tasks import LIMITS, DoctestTask
from agent.scaffold import scaffold_in_text
from model.data.decontaminate import Decontaminator
from verify.checker import Checker
from verify.request import Case, FunctionCheck

LEARNED_FROM = ("user", "doctest/train")
PER_TASK = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """What selection needs of a trajectory. steps: forward passes of the whole run. prompt_ids, answer_ids:
    of the model call that wrote the program."""

    id: str
    task: str
    text: str
    source: str
    status: str
    base: str
    steps: int
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    code: str
    temperature: float


@dataclass(slots=True)
class Selection:
    """kept, dropped (reason -> ids), refused (id -> why)."""

    kept: list[Candidate] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return len(self.kept) + sum(map(len, self.dropped.values())) + len(self.refused)

    def as_dict(self) -> dict[str, Any]:
        """The report, for machines."""
        return {
            "total": self.total,
            "kept": [c.id for c in self.kept],
            "kept_tasks": len({c.task for c in self.kept}),
            "dropped": {reason: len(ids) for reason, ids in sorted(self.dropped.items())},
            "dropped_ids": dict(self.dropped),
            "refused": self.refused,
        }


def documents(folder: Path) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    """Every ATIF document under a folder; None for a file that is damaged. Raises FinetuneError when there is
    none."""
    paths = sorted(folder.rglob("trajectory.json")) or sorted(folder.glob("*.json"))
    if not paths:
        raise FinetuneError(
            f"{folder} holds no trajectories; 'agent run' and 'agent finetune --tasks' make some"
        )
    for path in paths:
        try:
            document = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            document = None
        yield path, document if isinstance(document, dict) else None


def candidate(document: Mapping[str, Any]) -> Candidate | None:
    """None for a document that lacks what a trajectory of ours has."""
    try:
        extra, agent = document["extra"], document["agent"]
        info = agent["extra"].get("model") or {}
        outcome = extra["outcome"] or {"status": "unfinished"}
        steps = document["steps"]
        calls = [s for s in steps if s.get("extra", {}).get("phase") in ("infill", "repair")]
        last: Mapping[str, Any] = calls[-1] if calls else {"metrics": {}, "message": "", "extra": {}}
        metrics = last["metrics"]
        return Candidate(
            id=document["session_id"],
            task=extra["task"],
            text=steps[0]["message"],
            source=extra["source"],
            status=outcome["status"],
            base=info.get("base_sha256", ""),
            steps=document["final_metrics"]["extra"]["forwards"],
            prompt_ids=tuple(metrics.get("prompt_token_ids", ())),
            answer_ids=tuple(metrics.get("completion_token_ids", ())),
            code=_program(last),
            temperature=metrics.get("extra", {}).get("temperature", 0.0),
        )
    except (KeyError, TypeError, IndexError, AttributeError):
        return None


def _program(step: Mapping[str, Any]) -> str:
    """The program that a call wrote: its prefill's scaffold and its answer, as `agent.author` puts them
    together. '' for a call that did not continue a scaffold."""
    messages = step["extra"].get("messages", [])
    if not messages or messages[-1]["role"] != "assistant" or "```python\n" not in messages[-1]["content"]:
        return ""
    start = messages[-1]["content"].rpartition("```python\n")[2]
    body = step["message"].split("\n```")[0]
    return python_code.with_imports(python_code.definitions(start + body))


def select(
    found: Iterable[tuple[Path, Mapping[str, Any] | None]],
    tasks: Mapping[str, DoctestTask],
    checker: Checker,
    clean: Decontaminator,
    *,
    base_sha256: str = "",
    per_task: int = PER_TASK,
) -> Selection:
    """See the module. tasks: by id, for trajectories of doctest tasks; others are verified by the examples in
    their text. base_sha256: whose token ids can be used ('': any)."""
    result = Selection()
    passed: list[tuple[Candidate, FunctionCheck]] = []
    for path, document in found:
        made = candidate(document) if document is not None else None
        if made is None:
            result.dropped["damaged or no trajectory"].append(path.parent.name)
        elif why := _refusal(made, clean):
            result.refused[made.id] = why
        elif reason := _unusable(made, base_sha256):
            result.dropped[reason].append(made.id)
        elif (check := _check(made, tasks)) is None:
            result.dropped["no cases to verify it by again"].append(made.id)
        else:
            passed.append((made, check))
    verdicts = checker.check_many([check for _, check in passed])
    solved: dict[str, list[Candidate]] = defaultdict(list)
    for (made, check), verdict in zip(passed, verdicts, strict=True):
        if not verdict.rewardable:
            raise FinetuneSandboxError(f"the sandbox cannot judge here: {verdict.detail or verdict.status}")
        if not verdict.ok:
            result.dropped["fails when verified again"].append(made.id)
        elif lists_examples(made.code, check.cases):
            result.dropped["lists its examples"].append(made.id)
        else:
            solved[made.task].append(made)
    seen: set[str] = set()
    for own in solved.values():
        median = statistics.median(c.steps for c in own)
        count = 0
        for made in sorted(own, key=lambda c: (c.steps, c.id)):
            if made.steps > median:
                result.dropped["more steps than its task's median"].append(made.id)
            elif (shape := _shape(made.code)) in seen:
                result.dropped["duplicate"].append(made.id)
            elif count == per_task:
                result.dropped["over its task's share"].append(made.id)
            else:
                seen.add(shape)
                count += 1
                result.kept.append(made)
    return result


def _refusal(made: Candidate, clean: Decontaminator) -> str:
    if made.source not in LEARNED_FROM:
        return f"from {made.source or 'an unknown source'}"
    if reason := clean.reason(f"{made.text}\n{made.code}", made.code):
        return f"overlaps a benchmark ({reason})"
    return ""


def _unusable(made: Candidate, base_sha256: str) -> str:
    if made.status != "solved":
        return "not solved"
    if not made.prompt_ids or len(made.answer_ids) < 2:
        return "no token ids (redacted, or made by an endpoint)"
    if base_sha256 and made.base != base_sha256:
        return "made with another base"
    return "" if made.code else "not one function on a scaffold"


def _check(made: Candidate, tasks: Mapping[str, DoctestTask]) -> FunctionCheck | None:
    if (task := tasks.get(made.task)) is not None:
        return task.check(made.code, seed=2)
    scaffold = scaffold_in_text(made.text)
    entry, cases = cases_in_text(made.text, scaffold.entry if scaffold else None)
    return FunctionCheck(made.code, entry, cases, limits=LIMITS, seed=2) if entry and cases else None


def lists_examples(code: str, cases: tuple[Case, ...]) -> bool:
    """Whether a program holds the results of at least two cases, and the arguments that lead to them, as
    constants outside docstrings: it tells cases apart instead of solving them."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    docs = {id(n.body[0]) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and ast.get_docstring(n)}
    inside = {id(c) for n in ast.walk(tree) if id(n) in docs for c in ast.walk(n)}
    constants = {repr(n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in inside}
    held = 0
    for case in cases:
        results = _telling(case.expected)
        arguments = [value for arg in (*case.args, *case.kwargs.values()) for value in _telling(arg)]
        held += bool(results) and bool(arguments) and constants.issuperset({*results, *arguments})
    return held >= 2


def _telling(value: Any) -> list[str]:
    """Constants of a value that do not turn up in programs by chance."""
    if isinstance(value, list | tuple | set | frozenset):
        return [found for member in value for found in _telling(member)]
    if isinstance(value, dict):
        return [found for pair in value.items() for found in _telling(pair)]
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [repr(value)] if abs(value) > 10 else []
    return [repr(value)] if isinstance(value, str) and len(value) > 2 else []


def _shape(code: str) -> str:
    """Equal for programs that differ in layout, comments and docstrings only."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def reasons(selection: Selection) -> Counter[str]:
    """Counts by reason, kept and refused among them."""
    counts = Counter({reason: len(ids) for reason, ids in selection.dropped.items()})
    counts["kept"], counts["refused"] = len(selection.kept), len(selection.refused)
    return counts
