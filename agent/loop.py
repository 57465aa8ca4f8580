"""The loop: plan, scaffold, infill, verify, repair with the verdict's evidence, then once more in a fresh
sandbox.

    for event in run(task, model, checker, Options()):
        ...

Everything that happens is an event; the last one is `Done`. All of it is bounded: model calls, generated
tokens, seconds, repairs, format errors in a row. The control flow is exceptions (`agent.stops`), as in
mini-swe-agent.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Generator, Iterator

from agent import checks, events
from agent.author import Author
from agent.budget import Budget
from agent.errors import AgentError, EditError
from agent.events import Event, Phase
from agent.options import Options
from agent.session import new_id
from agent.stops import Cancelled, Infrastructure, Stop, Unsolved, Unusable
from agent.task import Task
from agent.workspace import Workspace
from model.errors import ModelError
from model.request import GenerateRequest, Generation, Model
from verify.checker import Checker
from verify.verdict import Status, Verdict

MAX_FORMAT_ERRORS = 3  # in a row
MAX_REPEATS = 2  # the same code again: ask once or twice more, warmer
_HOST_FAULTS = (Status.UNAVAILABLE, Status.INTERNAL_ERROR)


def run(
    task: Task,
    model: Model,
    checker: Checker,
    options: Options | None = None,
    cancel: threading.Event | None = None,
) -> Generator[Event, None, None]:
    """Work on `task` until its tests pass or a bound is reached; yields events, the last one `Done`.

    checker judges every attempt; the last word has a second one, opened by `options.open_checker` only for
    that. Setting `cancel` ends the run at the next decoding step or verdict (status `cancelled`, exit code
    130). Unless solved (or `options.keep`), every file is put back as it was, also when the iterator is
    closed early.
    """
    return _Run(task, model, checker, options or Options(), cancel or threading.Event()).stream()


class _Run:
    def __init__(
        self, task: Task, model: Model, checker: Checker, options: Options, cancel: threading.Event
    ) -> None:
        self.task, self.model, self.checker, self.options = task, model, checker, options
        session = options.session
        self.session_id = session.id if session else new_id()
        self.trajectory = str(session.trajectory) if session else ""
        before = session.before if session else None
        self.workspace = Workspace(task.workdir, task.files, before)
        self.author: Author
        self.budget = Budget(options, cancel)
        self.repairs = 0
        self.verdict: Verdict | None = None
        self.seen: set[str] = set()  # contents that were tried

    def stream(self) -> Generator[Event, None, None]:
        """The whole run; see `run`."""
        end, bug = Stop(), None
        try:
            yield self._start()
            yield from self._solve()
            end.status, end.exit_code = "solved", 0
        except Stop as stop:
            end = stop
        except ModelError as error:
            end = Unusable(str(error))
        except AgentError as error:
            end.exit_code, end.args = error.exit_code, (str(error),)
        except KeyboardInterrupt:
            end = Cancelled("interrupted")
        except GeneratorExit:
            self._restore()
            raise
        except Exception as error:
            end, bug = Infrastructure(f"{type(error).__name__}: {error}"), error
        changed = self.workspace.changed
        if end.status != "solved" and (paths := self._restore()):
            yield events.Restored(paths)
        kept = changed if end.status == "solved" or self.options.keep else ()
        yield self._done(end, kept)
        if bug is not None:
            raise bug

    def _start(self) -> events.Started:
        info, task = self.model.info, self.task
        return events.Started(
            session_id=self.session_id,
            task=task.text,
            model=info.name,
            decode=self.options.decode,
            workdir=str(self.workspace.root),
            trajectory=self.trajectory,
            name=task.name,
            source=task.source,
            info=info,
            settings=self.options.settings(),
        )

    def _done(self, end: Stop, changed: tuple[str, ...]) -> events.Done:
        budget = self.budget
        return events.Done(
            status=end.status,
            exit_code=end.exit_code,
            session_id=self.session_id,
            trajectory=self.trajectory,
            verdict=self.verdict,
            files_changed=changed,
            steps=budget.steps,
            repairs=self.repairs,
            tokens=budget.tokens,
            forwards=budget.forwards,
            tokens_per_forward=budget.tokens / budget.forwards if budget.forwards else 0.0,
            wall_s=budget.seconds,
            error=str(end),
        )

    def _restore(self) -> tuple[str, ...]:
        return () if self.options.keep else self.workspace.restore()

    def _solve(self) -> Iterator[Event]:
        """Attempts until one passes here and in a fresh sandbox; raises Stop otherwise."""
        self.author = Author(self.task, self.workspace, self.options.call_tokens)
        self.seen.add(repr(self.author.original))
        if self.task.has_tests and self.task.lang == "python" and not self.checker.probe.works:
            raise Infrastructure(self.checker.probe.why)  # before the model works for nothing
        if self.author.has_code and self.task.has_tests:  # a file to mend: what is wrong with it?
            yield from self._verify(self.checker, 0, fresh=False)
            if self.verdict and self.verdict.ok:
                return
            self._evidence()
        if self.options.plan:
            answer = yield from self._ask("plan", self.author.plan())
            yield events.Planned(self.author.take_plan(answer))
        if self.author.needs_scaffold:
            signature = yield from self._ask("scaffold", self.author.ask_signature())
            docstring = yield from self._ask("scaffold", self.author.ask_docstring(signature.text))
            self.author.take_scaffold(signature.text, docstring.text)
        if self.author.scaffold:
            yield events.Scaffolded(
                self.author.scaffold.text, self.author.scaffold.entry, self.author.scaffold.origin
            )
        for attempt in range(self.options.max_repairs + 1):
            if attempt:
                self.repairs = attempt
                yield events.Repairing(attempt, self._evidence())
            yield from self._write(attempt)
            yield from self._verify(self.checker, attempt, fresh=False)
            if self.verdict and self.verdict.ok:
                with self.options.open_checker() as fresh:
                    yield from self._verify(fresh, attempt, fresh=True)
                if self.verdict.ok:
                    return
        raise Unsolved(f"the tests still fail after {self.repairs} repairs")

    def _evidence(self) -> str:
        """What the last verdict found, from now on part of the prompts."""
        assert self.verdict is not None
        self.author.add_evidence(evidence := checks.evidence(self.task, self.verdict))
        return evidence.text

    def _write(self, attempt: int) -> Iterator[Event]:
        """Ask until an answer is an edit that says something new, and make it."""
        failures = repeats = 0
        while True:
            again = max(0, attempt - 1) + repeats + failures
            warmth = max(self.options.temperature, min(0.8, 0.4 * again))
            prompt = self.author.ask(warmth=warmth, anew=attempt > 1 or repeats > 0)
            seed = self.options.seed + attempt + 100 * (repeats + failures)
            answer = yield from self._ask("repair" if attempt else "infill", prompt, seed)
            try:
                contents = self.author.take(answer.text)
            except EditError as error:
                failures += 1
                yield events.FormatFailed(str(error), failures)
                if failures >= MAX_FORMAT_ERRORS:
                    raise Unusable(
                        f"the model gave no usable code {failures} times in a row: {error}"
                    ) from error
                self.author.add_format_error(str(error))
                continue
            if (key := repr(contents)) in self.seen and repeats < MAX_REPEATS:
                repeats += 1
                continue
            break
        self.seen.add(key)
        for path, text in contents.items():
            if text != self.workspace.read(path):
                change = self.workspace.write(path, text)
                yield events.Edited(change.path, change.diff, change.created)

    def _verify(self, checker: Checker, attempt: int, *, fresh: bool) -> Iterator[Event]:
        """Run every check of the task, up to the first that does not pass."""
        verdict = Verdict(Status.UNSUPPORTED, detail="the task has no tests")
        for request in checks.requests(self.task, self.workspace, self.budget.seconds_left):
            verdict = checker.check(request)
            if not verdict.ok:
                break
        self.verdict = verdict
        yield events.Verified(verdict, attempt, fresh)
        if not (fresh and verdict.ok):  # a solved task stays solved, however late
            self.budget.guard(asking=False)
        if verdict.status in _HOST_FAULTS:
            raise Infrastructure(verdict.detail or f"the check could not run: {verdict.status}")
        if not self.task.has_tests:
            raise Unsolved("nothing was verified: give the task tests, cases or examples, or pass --test-cmd")

    def _ask(
        self, phase: Phase, prompt: GenerateRequest, seed: int | None = None
    ) -> Generator[Event, None, Generation]:
        """One model call, streamed. A cancel or the time limit ends it, with what was generated on record."""
        self.budget.guard(asking=True)
        request = dataclasses.replace(
            prompt,
            max_tokens=min(prompt.max_tokens, self.budget.tokens_left),
            decode=self.options.decode,
            seed=self.options.seed if seed is None else seed,
        )
        call, halt, answer = self.budget.step(), threading.Event(), None
        yield events.ModelCalled(
            phase, call, request.messages, request.max_tokens, request.temperature, request.seed
        )
        for step in self.model.generate(request, halt):
            answer = step.result or answer
            yield events.Decoded(phase, call, dataclasses.replace(step, result=None))
            if self.budget.interrupted:
                halt.set()
        if answer is None:
            raise Unusable("the model ended without an answer")
        self.budget.add(answer)
        yield events.ModelAnswered(phase, call, answer)
        self.budget.guard(asking=False)
        return answer
