"""Repair: programs with one mistake, made by seeded mutation; how many are mended within `TURNS` answers?

Each turn shows the model what fails on the visible tests (every second one). The verdict is that of all
tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from evals.benchmark import Attempt, Benchmark, Generate, Outcome, Scored, Task
from evals.errors import UsageError
from evals.extract import extract
from evals.packs.mutate import cases
from evals.packs.programs import PROGRAMS
from model.request import GenerateRequest, Generation, Message
from verify.limits import Limits
from verify.request import Case, FunctionCheck
from verify.verdict import Verdict

if TYPE_CHECKING:
    from evals.judge import Judge

TURNS = 3
LIMITS = Limits(wall_s=10.0, cpu_s=5.0)


class Repair(Benchmark):
    name = "repair"
    title = "Repair"
    stop = ("\n```\n",)
    max_tokens = 384

    def __init__(self, data: Path | None = None) -> None:
        if data is not None:
            raise UsageError("repair's tasks come with this package; --data is for humaneval+ and mbpp+")

    def load(self) -> Iterable[Task]:
        programs = {program.entry: program for program in PROGRAMS}
        tests = {entry: cases(program) for entry, program in programs.items()}
        text = resources.files("evals.packs").joinpath("repair.jsonl").read_text(encoding="utf-8")
        for row in map(json.loads, text.splitlines()):
            program = programs[row["entry"]]
            yield Task(
                id=row["id"],
                prompt=f"{program.doc}\n\n{row['broken']}",
                entry=row["entry"],
                reference=program.source,
                category=row["kind"],
                data={"cases": tests[row["entry"]], "broken": row["broken"], "doc": program.doc},
            )

    def messages(self, task: Task) -> tuple[Message, ...]:
        """The first turn, before the tests' evidence is added."""
        user = (
            f"This Python function has a mistake. {task.data['doc']}\n```python\n{task.data['broken']}```\n"
        )
        return Message("user", user), Message("assistant", "")

    def extract(self, task: Task, raw: str) -> str:
        return extract(raw, task.entry, in_fence=True)

    def attempt(self, task: Task, generate: Generate, request: GenerateRequest, judge: Judge) -> Attempt:
        """Up to `TURNS` answers, each after the evidence of the visible tests against the program so far."""
        visible: tuple[Case, ...] = task.data["cases"][::2]
        first = request.messages[0].content
        conversation: list[Message] = []
        generations: list[Generation] = []
        program = task.data["broken"]
        raw = ""
        for turn in range(TURNS):
            verdict = self._check(program, task, visible, judge)
            if turn and (verdict.ok or not verdict.rewardable):
                break
            evidence = _evidence(verdict, visible)
            ask = "Reply with the whole corrected function in a markdown code block."
            conversation.append(Message("user", f"{first if not turn else ''}{evidence}\n{ask}\n"))
            answer = generate(_with_messages(request, (*conversation, Message("assistant", "```python\n"))))
            generations.append(answer)
            raw = answer.text
            program = self.extract(task, raw)
            conversation.append(Message("assistant", f"```python\n{raw}\n```\n"))
        return Attempt(raw, program, tuple(generations), turns=len(generations))

    def score(self, task: Task, solution: str, judge: Judge) -> Scored:
        tests: tuple[Case, ...] = task.data["cases"]
        verdict = self._check(solution, task, tests, judge)
        failed = tuple(i for i, ok in enumerate(verdict.per_case) if ok is not True)[:32]
        return Scored(Outcome(verdict.status, verdict.passed, len(tests), failed, verdict.detail))

    def _check(self, code: str, task: Task, tests: tuple[Case, ...], judge: Judge) -> Verdict:
        return judge.check(FunctionCheck(code, task.entry, tests, limits=LIMITS))


def _evidence(verdict: Verdict, tests: tuple[Case, ...]) -> str:
    """The first two failing tests, with what was expected, and what the judge saw at the first."""
    failing = [case for case, ok in zip(tests, verdict.per_case, strict=False) if ok is not True]
    lines = [f"{', '.join(map(repr, case.args))} must give {case.expected!r}" for case in failing[:2]]
    seen = f"\nSeen: {verdict.detail}" if verdict.detail else ""
    return "It fails on these arguments:\n" + "\n".join(f"- {line}" for line in lines) + seen


def _with_messages(request: GenerateRequest, messages: tuple[Message, ...]) -> GenerateRequest:
    import dataclasses

    return dataclasses.replace(request, messages=messages)
