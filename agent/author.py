"""What is said to the model and what is made of its answers, for both ways of working.

One function (`Task.entry`, Python): the model continues a scaffold, so its answer is a body and nothing else.
Any other task: it answers with fenced blocks (`agent.parse`). The conversation of a repair is the task, the
code that failed and the evidence, never more: a small model drowns in its own history.
"""

from __future__ import annotations

from agent import parse, python_code
from agent.errors import EditError
from agent.prompts import render
from agent.scaffold import Scaffold, scaffold_in_answer, scaffold_in_source
from agent.task import Task
from agent.workspace import Workspace
from model.request import GenerateRequest, Message

_PLAN_TOKENS = 96
_SCAFFOLD_TOKENS = 192
_BODY_STOPS = ("\n```", "\nif __name__", "\nprint(", "\nassert ", "\n# Test", "\n# Example")


class Author:
    """Holds the conversation of one run; see the module."""

    def __init__(self, task: Task, workspace: Workspace, call_tokens: int) -> None:
        self.task = task
        self.workspace = workspace
        self.call_tokens = call_tokens
        self.original = {path: workspace.read(path) for path in task.files}
        self.scaffold = self._given_scaffold()
        self.by_function = task.entry is not None and task.lang == "python"
        self.evidence = ""
        self.last_code = ""
        self.format_error: tuple[str, str] | None = None
        self._answer = ""

    @property
    def needs_scaffold(self) -> bool:
        return self.by_function and self.scaffold is None

    def plan(self) -> GenerateRequest:
        messages = [Message("user", render("plan", task=self.task.text)), Message("assistant", "1.")]
        return self._request(messages, _PLAN_TOKENS, stop=("\n4.", "\n\n", "```"))

    def take_plan(self, answer: str) -> str:
        return "1." + answer.rstrip()

    def ask_scaffold(self) -> GenerateRequest:
        user = render("scaffold", task=self.task.text, entry=self.task.entry)
        messages = [Message("user", user), Message("assistant", f"```python\n{self._start}")]
        return self._request(messages, _SCAFFOLD_TOKENS, stop=("\n```", "\n    return", "\n    pass"))

    def take_scaffold(self, answer: str) -> None:
        """Keep the model's signature and docstring; without one the body is asked for with the bare start."""
        self.scaffold = scaffold_in_answer(self._start + answer, self.task.entry)

    @property
    def _start(self) -> str:
        return self.scaffold.text if self.scaffold else f"def {self.task.entry}("

    def ask(self, *, warmth: float) -> GenerateRequest:
        """The next answer: the first one, a repair, or the same again after a format error."""
        return self._ask_function(warmth) if self.by_function else self._ask_files(warmth)

    def _ask_function(self, warmth: float) -> GenerateRequest:
        path = self.task.files[0]
        current = self.original[path] if self.scaffold and self.scaffold.origin == "file" else None
        messages = [Message("user", render("infill", task=self.task.text, current=current, path=path))]
        if self.evidence:
            messages.append(Message("assistant", f"```python\n{self.last_code.strip()}\n```"))
            messages.append(Message("user", render("repair", evidence=self.evidence)))
        messages += self._format_messages("python")
        prefill = "repair_prefill" if self.evidence else "infill_prefill"
        messages.append(Message("assistant", render(prefill, scaffold=self._start)))
        return self._request(messages, self.call_tokens, stop=_BODY_STOPS, temperature=warmth)

    def _ask_files(self, warmth: float) -> GenerateRequest:
        task = self.task
        read = self.workspace.read
        user = render(
            "edit",
            task=task.text,
            files={path: read(path) for path in task.files},
            tests={path: read(path) for path in task.tests if (self.workspace.root / path).is_file()},
            lang=task.lang,
            evidence=self.evidence,
        )
        messages = [Message("user", user), *self._format_messages(task.lang)]
        return self._request(messages, self.call_tokens, temperature=warmth)

    def _format_messages(self, lang: str) -> list[Message]:
        if self.format_error is None:
            return []
        reason, answer = self.format_error
        text = render("format", reason=reason, path=self.task.files[0], lang=lang)
        return [Message("assistant", answer or "(nothing)"), Message("user", text)]

    def _request(
        self,
        messages: list[Message],
        max_tokens: int,
        *,
        stop: tuple[str, ...] = (),
        temperature: float = 0.0,
    ) -> GenerateRequest:
        return GenerateRequest(
            messages=tuple(messages),
            max_tokens=min(max_tokens, self.call_tokens),
            stop=stop,
            temperature=temperature,
        )

    def take(self, answer: str) -> dict[str, str]:
        """The new content of each file the answer changes. Raises EditError when it is no usable edit."""
        self._answer = answer
        contents = self._take_function(answer) if self.by_function else self._take_files(answer)
        self.format_error = None
        return contents

    def _take_function(self, answer: str) -> dict[str, str]:
        assert self.task.entry is not None
        path = self.task.files[0]
        body = answer.split("\n```")[0]
        code = python_code.definitions(self._start + body)
        if not body.strip() or not python_code.has_body(code, self.task.entry):
            raise EditError(f"The body of {self.task.entry} is missing.")
        self.last_code = code
        current = self.original[path]
        if current and current.strip():
            code = python_code.merge(current, code)
        return {path: code}

    def _take_files(self, answer: str) -> dict[str, str]:
        changed: dict[str, str] = {}
        for edit in parse.parse_edits(answer, self.task.files, self.task.entry):
            current = changed.get(edit.path, self.workspace.read(edit.path))
            text = parse.apply(edit, current)
            whole = isinstance(edit, parse.WholeFile) and edit.path.endswith(".py")
            if whole and current and not python_code.keeps_definitions(current, text):
                text = python_code.merge(current, text)
            changed[edit.path] = text
        return changed

    def add_evidence(self, evidence: str) -> None:
        self.evidence = evidence
        self.format_error = None

    def add_format_error(self, reason: str) -> None:
        self.format_error = (reason, self._answer)

    def _given_scaffold(self) -> Scaffold | None:
        task, current = self.task, self.original[self.task.files[0]]
        if task.lang != "python" or task.entry is None:
            return None
        in_file = scaffold_in_source(current, task.entry) if current else None
        return in_file or task.scaffold
