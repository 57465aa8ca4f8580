"""Attempts at tasks: one answer each, judged, recorded as a trajectory like any run of the agent.

    rows = roll_out(tasks, (GREEDY, Attempt(1, 0.7)), model, checker, folder)

The model answers a stretch of attempts, all together where it can, then the agent's own loop replays those
answers (verdict, second verdict in another checker, record), several at a time. `attempts.jsonl` has a row
for each finished attempt; a second call with the same folder does only what is missing. An interrupt or a
failure of the model judges what was answered first.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from agent import session
from agent.author import Author
from agent.errors import FinetuneError, FinetuneSandboxError
from agent.events import Done
from agent.finetune.tasks import DoctestTask
from agent.loop import run
from agent.options import Options
from agent.trajectory import recorded
from agent.workspace import Workspace
from model.errors import ModelError
from model.request import Decode, GenerateRequest, Generation, Model, ModelInfo, Step, complete
from verify.checker import Checker
from verify.request import CheckRequest
from verify.verdict import Verdict

ANSWER_TOKENS = 320
STRETCH = {"cpu": 16}  # attempts answered before they are judged; elsewhere 1024


@dataclass(frozen=True, slots=True)
class Attempt:
    """The number of an attempt at a task is also its seed."""

    number: int
    temperature: float


GREEDY = Attempt(0, 0.0)
Row = dict[str, Any]
Progress = Callable[[int, int], None]


def attempts(sampled: int, temperature: float) -> tuple[Attempt, ...]:
    """One greedy attempt and so many sampled ones."""
    return (GREEDY, *(Attempt(number, temperature) for number in range(1, sampled + 1)))


def roll_out(
    tasks: Sequence[DoctestTask],
    wanted: Sequence[Attempt],
    model: Model,
    checker: Checker,
    fresh: Checker,
    folder: Path,
    *,
    decode: Decode = "auto",
    together: bool = False,
    batch: int | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Row]:
    """One row for each (task, attempt), in their order. `fresh` judges what `checker` passed once more.

    together: answer many attempts in batches (of `batch`; None: what suits the device), which is fast and
    decodes plainly (a step is a token); alone, each is decoded as `decode` says, with the steps a person's
    run takes. Raises FinetuneError when the sandbox cannot do its part, ModelError when the model cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / "attempts.jsonl"
    done = {(row["task"], row["attempt"]): row for row in read_rows(index)}
    todo = [(t, a) for t in tasks for a in wanted if (t.id, a.number) not in done]
    total = len(tasks) * len(wanted)
    progress(total - len(todo), total)
    if not todo:  # asking the model anything may load it
        return [done[task.id, attempt.number] for task in tasks for attempt in wanted]
    stretch = STRETCH.get(model.info.device.partition(":")[0], 1024)
    with index.open("a", encoding="utf-8") as log, ThreadPoolExecutor(checker.jobs) as pool:
        for start in range(0, len(todo), stretch):
            part = todo[start : start + stretch]
            ended: KeyboardInterrupt | ModelError | None = None
            asked = [_request(task, attempt, decode) for task, attempt in part]
            answers: dict[int, Generation] = {}
            try:
                for number, answer in _answers(model, asked, together=together, batch=batch):
                    answers[number] = answer
                    progress(total - len(todo) + start + len(answers), total)
            except (KeyboardInterrupt, ModelError) as error:
                ended = error
            jobs = [
                pool.submit(_replay, *part[i], _Answer(model.info, asked[i], answer), checker, fresh, folder)
                for i, answer in sorted(answers.items())
            ]
            for job in jobs:
                row = job.result()
                done[row["task"], row["attempt"]] = row
                log.write(json.dumps(row) + "\n")
                log.flush()
            if ended is not None:
                raise ended
    return [done[task.id, attempt.number] for task in tasks for attempt in wanted]


def read_rows(path: Path) -> list[Row]:
    """Rows of an attempts file; a line cut off by a kill is left out."""
    rows = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def options(attempt: Attempt, decode: Decode) -> Options:
    """One answer, no plan, no repair."""
    return Options(
        decode=decode,
        plan=False,
        max_repairs=0,
        call_tokens=ANSWER_TOKENS,
        max_tokens=ANSWER_TOKENS,
        temperature=attempt.temperature,
        seed=attempt.number,
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a model said to a request, to be said again."""

    info: ModelInfo
    request: GenerateRequest
    result: Generation

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]:
        if request != self.request:
            raise FinetuneError("the loop asked for something else than the rollout answered")
        # One step stands for all: which pass committed each token is in the result.
        yield Step(0, text=self.result.text, result=self.result)


def _answers(
    model: Model, asked: Sequence[GenerateRequest], *, together: bool, batch: int | None
) -> Iterator[tuple[int, Generation]]:
    """Answers with the number of their request, as they end."""
    many = getattr(model, "generate_many", None) if together else None
    if many is None:
        for number, request in enumerate(asked):
            yield number, complete(model, request)
    else:
        for number, step in many(asked, None, batch):
            if step.result is not None:
                yield number, step.result


def _request(task: DoctestTask, attempt: Attempt, decode: Decode) -> GenerateRequest:
    chosen = options(attempt, decode)
    with tempfile.TemporaryDirectory(prefix="trihead-") as name:
        given = task.task(Path(name))
        author = Author(given, Workspace(given.workdir, given.files), chosen.call_tokens)
        asked = author.ask(warmth=attempt.temperature, anew=False)
    return dataclasses.replace(asked, decode=decode, seed=attempt.number)


class _Lent:
    """A checker that a run may close without closing it."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker

    def check(self, request: CheckRequest) -> Verdict:
        return self._checker.check(request)

    def __enter__(self) -> _Lent:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def _replay(
    task: DoctestTask, attempt: Attempt, answer: _Answer, checker: Checker, fresh: Checker, folder: Path
) -> Row:
    record = session.create(folder)
    chosen = dataclasses.replace(
        options(attempt, answer.request.decode),
        session=record,
        open_checker=lambda: cast("Checker", _Lent(fresh)),
    )
    done: Done | None = None
    with tempfile.TemporaryDirectory(prefix="trihead-") as name:
        for event in recorded(run(task.task(Path(name)), cast("Model", answer), checker, chosen), record):
            if isinstance(event, Done):
                done = event
    assert done is not None
    if done.exit_code == 5:
        raise FinetuneSandboxError(f"{task.id}: {done.error}")
    return {
        "task": task.id,
        "attempt": attempt.number,
        "temperature": attempt.temperature,
        "session": record.id,
        "ok": done.status == "solved",
        "status": str(done.verdict.status) if done.verdict else done.status,
        "tokens": done.tokens,
        "forwards": done.forwards,
        "wall_s": round(answer.result.wall_s, 4),
    }
