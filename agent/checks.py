"""From a task and its workspace to what `verify` judges, and from a verdict to the evidence a repair is
given.

Expected values travel to the model (they are the task's own, visible tests), never to the candidate's
process.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from agent.task import Task
from agent.untrusted import clean, one_line, tail
from agent.workspace import Workspace
from verify.limits import Limits
from verify.request import Case, CheckRequest, CommandCheck, FunctionCheck
from verify.verdict import Status, Verdict


def requests(task: Task, workspace: Workspace, seconds: float) -> list[CheckRequest]:
    """What must pass, in order: the cases, then the test command. `seconds` is what is left of the run."""
    checks: list[CheckRequest] = []
    if task.cases and task.entry:
        code = workspace.read(task.files[0]) or ""
        limits = _limits(task, Limits(), seconds)
        checks.append(FunctionCheck(code, task.entry, task.cases, lang=task.lang, limits=limits))
    if task.test_cmd:
        command = CommandCheck(workspace.root, task.test_cmd, protected=task.tests, pristine=workspace.root)
        checks.append(dataclasses.replace(command, limits=_limits(task, command.limits, seconds)))
    return checks


def _limits(task: Task, default: Limits, seconds: float) -> Limits:
    limits = dataclasses.replace(default, **task.check_limits)
    return dataclasses.replace(limits, wall_s=max(0.1, min(limits.wall_s, seconds)))


_SHOWN = 300  # characters of a value


@dataclass(frozen=True, slots=True)
class Evidence:
    """What failed, in words. `wanted`: what should have happened, without what did ('' when not known)."""

    text: str
    wanted: str = ""


def evidence(task: Task, verdict: Verdict) -> Evidence:
    """What a small model can use of a verdict: one failing case, or the end of the tests' output."""
    if verdict.status is Status.COMPILE_ERROR:
        return Evidence(f"It does not compile: {tail(verdict.detail or verdict.stderr, 6, 400)}")
    if verdict.status is Status.TYPE_ERROR:
        return Evidence(f"The type checker refuses it: {tail(verdict.detail or verdict.stderr, 12, 800)}")
    case = _first_failing(task, verdict)
    if case is not None:
        return _case_evidence(task.entry or "", case, verdict)
    if verdict.status in (Status.TIMEOUT, Status.FUEL):
        return Evidence("It did not finish in time: look for an endless loop or a much too slow method.")
    if verdict.status is Status.OUTPUT_LIMIT:
        return Evidence("It printed far too much: remove the prints.")
    output = "\n".join(part for part in (verdict.stdout, verdict.stderr) if part.strip()) or verdict.detail
    return Evidence(f"The tests fail:\n{tail(output)}" if output else f"It ended with {verdict.status}.")


def _first_failing(task: Task, verdict: Verdict) -> Case | None:
    """The first case that did not match, else (a crash, a time limit) the first that did not run."""
    if len(verdict.per_case) != len(task.cases):
        return None
    flags = list(verdict.per_case)
    return next((task.cases[flags.index(flag)] for flag in (False, None) if flag in flags), None)


def _case_evidence(entry: str, case: Case, verdict: Verdict) -> Evidence:
    given = [_show(a) for a in case.args] + [f"{k}={_show(v)}" for k, v in case.kwargs.items()]
    call = f"{entry}({', '.join(given)})"
    wanted = f"should raise {case.raises}" if case.raises else f"should return {_show(case.expected)}"
    if verdict.status in (Status.TIMEOUT, Status.FUEL):
        got = "it does not finish: look for an endless loop"
    else:
        got = re.sub(r"^case \d+: ", "", clean(verdict.detail)[:_SHOWN]) or "it did not"
        if verdict.status not in (Status.FAILED, Status.RUNTIME_ERROR):
            got = f"it ended in {verdict.status}: {got}"
    return Evidence(f"{call} {wanted}, but {got}.", f"{call} {wanted}.")


def _show(value: object) -> str:
    """A value as Python writes it: blanks matter, so they stay; controls are escaped by `repr`."""
    text = clean(repr(value))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def summary(verdict: Verdict) -> str:
    """A verdict in one line for a person."""
    count = f" {verdict.passed}/{verdict.total}" if verdict.total else ""
    detail = f": {one_line(clean(verdict.detail), 160)}" if verdict.detail and not verdict.ok else ""
    return f"{verdict.status}{count}{detail}"
