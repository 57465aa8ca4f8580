"""Agent: whole tasks for the agent's loop, with visible cases to work by and hidden ones that decide."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from evals.benchmark import Attempt, Benchmark, Generate, Outcome, Scored, Task
from evals.errors import InfrastructureError, UsageError
from evals.packs.agent_tasks import AGENT_TASKS, AgentTask
from model.request import GenerateRequest, Message
from verify.limits import Limits
from verify.request import Case, FunctionCheck

if TYPE_CHECKING:
    from evals.judge import Judge

LIMITS = Limits(wall_s=10.0, cpu_s=5.0)


class AgentBenchmark(Benchmark):
    name = "agent"
    title = "Agent"

    def __init__(self, data: Path | None = None) -> None:
        if data is not None:
            raise UsageError("agent's tasks come with this package; --data is for humaneval+ and mbpp+")

    def load(self) -> Iterable[Task]:
        for task in AGENT_TASKS:
            inputs = (*task.visible, *task.hidden)
            cases = [Case(args=a, expected=e) for a, e in zip(inputs, task.results(inputs), strict=True)]
            yield Task(
                id=f"agent/{task.name}",
                prompt=task.task_md(),
                entry=task.entry,
                reference=task.solution,
                category=task.category,
                data={"cases": tuple(cases), "task": task},
            )

    def messages(self, task: Task) -> tuple[Message, ...]:
        """The agent writes its own prompts; this is the task it starts from."""
        return (Message("user", task.prompt),)

    def extract(self, task: Task, raw: str) -> str:
        """The answer is the file itself."""
        return raw

    def attempt(self, task: Task, generate: Generate, request: GenerateRequest, judge: Judge) -> Attempt:
        """Run the agent's loop in a folder of its own; the sample is the file as the run left it."""
        from agent.events import Done, ModelAnswered, Repairing
        from agent.loop import run
        from agent.options import Options
        from agent.task import load_task

        given: AgentTask = task.data["task"]
        with tempfile.TemporaryDirectory(prefix="evals-agent-") as name:
            folder = Path(name)
            (folder / "task.md").write_text(given.task_md(), encoding="utf-8")
            if given.before:
                (folder / given.file).write_text(given.before, encoding="utf-8")
            options = Options(
                decode=request.decode,
                temperature=request.temperature,
                seed=request.seed,
                call_tokens=min(request.max_tokens, 512),
                keep=True,
            )
            generations, turns, done = [], 1, None
            # `source` keeps benchmark runs out of training data.
            work = dataclasses.replace(load_task(folder / "task.md"), source="evals/agent")
            for event in run(work, generate.model, judge.checker, options):
                if isinstance(event, ModelAnswered):
                    generations.append(event.generation)
                elif isinstance(event, Repairing):
                    turns += 1
                elif isinstance(event, Done):
                    done = event
            if done is not None and done.exit_code == 5:
                raise InfrastructureError(f"{task.id}: {done.error}")
            file = folder / given.file
            text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        return Attempt(text, text, tuple(generations), turns)

    def score(self, task: Task, solution: str, judge: Judge) -> Scored:
        cases: tuple[Case, ...] = task.data["cases"]
        verdict = judge.check(FunctionCheck(solution, task.entry, cases, limits=LIMITS))
        failed = tuple(i for i, ok in enumerate(verdict.per_case) if ok is not True)[:32]
        return Scored(Outcome(verdict.status, verdict.passed, len(cases), failed, verdict.detail))
