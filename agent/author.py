"""What is said to the model and what is made of its answers, for both ways of working.

One function (`Task.entry`, Python): the model continues a scaffold, so its answer is a body and nothing else.
Any other task: it answers with fenced blocks (`agent.parse`). The conversation of a repair is the task, the
code that failed and the evidence, never more: a small model drowns in its own history.
"""

from __future__ import annotations

from agent import parse, python_code
from agent.checks import Evidence
from agent.errors import EditError
from agent.prompts import render
from agent.scaffold import Scaffold, scaffold_in_answer, scaffold_in_source
from agent.task import Task
from agent.workspace import Workspace
from model.request import GenerateRequest, Generation, Message

_PLAN_TOKENS = 112
_SIGNATURE_TOKENS = 96
_DOCSTRING_TOKENS = 96
_HINTS = 3
_BODY_STOPS = ("\n```", "\nif __name__", "\nprint(", "\nassert ", "\ndef test", "\n# Test", "\n# Example")


class Author:
    """Holds the conversation of one run; see the module."""

    def __init__(self, task: Task, workspace: Workspace, call_tokens: int) -> None:
        self.task = task
        self.workspace = workspace
        self.call_tokens = call_tokens
        self.original = {path: workspace.read(path) for path in task.files}
        self.scaffold = self._given_scaffold()
        self.by_function = task.entry is not None and task.lang == "python"
        self.plan_text = ""
        self.evidence: Evidence | None = None
        self.wanted: list[str] = []
        self.last_code = self.scaffold.text + self.scaffold.body if self.scaffold else ""
        self.format_error: tuple[str, str] | None = None
        self._answer = ""
        self._shown = self.original

    @property
    def needs_scaffold(self) -> bool:
        return self.by_function and self.scaffold is None

    @property
    def has_code(self) -> bool:
        """Whether there is something to mend: the function has a body, or a file exists."""
        if self.by_function:
            return bool(self.scaffold and self.scaffold.body)
        return any(self.original.values())

    def plan(self) -> GenerateRequest:
        messages = [Message("user", render("plan", task=self.task.text)), Message("assistant", "1.")]
        return self._request(messages, _PLAN_TOKENS, stop=("\n4.", "\n\n", "```"))

    def take_plan(self, answer: Generation) -> str:
        """Keep the plan, without the line that the token limit cut off."""
        text = "1." + answer.text.rstrip()
        if answer.finish_reason == "length" and "\n" in text:
            text = text.rpartition("\n")[0]
        self.plan_text = text
        return text

    def ask_signature(self) -> GenerateRequest:
        user = render("scaffold", task=self.task.text, entry=self.task.entry)
        messages = [Message("user", user), Message("assistant", f"```python\n{self._start}")]
        return self._request(messages, _SIGNATURE_TOKENS, stop=(":\n", "\n```"))

    def ask_docstring(self, signature: str) -> GenerateRequest:
        user = render("scaffold", task=self.task.text, entry=self.task.entry)
        start = f'```python\n{self._start}{signature}:\n    """'
        messages = [Message("user", user), Message("assistant", start)]
        return self._request(messages, _DOCSTRING_TOKENS, stop=('"""', "\n\n"))

    def take_scaffold(self, signature: str, docstring: str) -> None:
        """Keep the model's signature and docstring; if they are none, the body alone has to do."""
        text = f'{self._start}{signature.strip()}:\n    """{docstring.strip()}"""\n'
        self.scaffold = scaffold_in_answer(text, self.task.entry)

    @property
    def _start(self) -> str:
        return self.scaffold.text if self.scaffold else f"def {self.task.entry}("

    def ask(self, *, warmth: float, anew: bool) -> GenerateRequest:
        """The next answer: the first one, a repair, or the same again after a format error.

        anew: neither the code that failed nor the plan is shown, only what is wanted; a small model that sees
        its code repeats it.
        """
        return self._ask_function(warmth, anew) if self.by_function else self._ask_files(warmth, anew)

    def _ask_function(self, warmth: float, anew: bool) -> GenerateRequest:
        path = self.task.files[0]
        current = None
        if self.scaffold and self.scaffold.origin == "file":
            current = self.original[path] or ""
            if body := self.scaffold.body:  # it is to be rewritten; a small model that sees it copies it
                current = current.replace(body, f"{self.scaffold.indent}...\n", 1)
        repair = self.evidence is not None and not anew
        hints = [] if repair else self.wanted
        user = render(
            "infill",
            task=self.task.text,
            current=current,
            path=path,
            hints=hints,
            plan="" if anew else self.plan_text,
        )
        messages = [Message("user", user)]
        if self.evidence and repair:
            messages.append(Message("assistant", f"```python\n{self.last_code.strip()}\n```"))
            messages.append(Message("user", render("repair", evidence=self.evidence.text)))
        messages += self._format_messages("python")
        prefill = render("repair_prefill" if repair else "infill_prefill", scaffold=self._start)
        messages.append(Message("assistant", prefill))
        return self._request(messages, self.call_tokens, stop=_BODY_STOPS, temperature=warmth)

    def _ask_files(self, warmth: float, anew: bool) -> GenerateRequest:
        task = self.task
        self._shown = self.original if anew else {path: self.workspace.read(path) for path in task.files}
        user = render(
            "edit",
            task=task.text,
            files=self._shown,
            tests={
                path: self.workspace.read(path)
                for path in task.tests
                if (self.workspace.root / path).is_file()
            },
            lang=task.lang,
            evidence=self.evidence.text if self.evidence and not anew else "",
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
        code = python_code.with_imports(code)
        self.last_code = code
        current = self.original[path]
        if current and current.strip():
            code = python_code.merge(current, code)
        return {path: code}

    def _take_files(self, answer: str) -> dict[str, str]:
        changed: dict[str, str] = {}
        for edit in parse.parse_edits(answer, self.task.files, self.task.entry):
            current = changed.get(edit.path, self._shown[edit.path])
            text = parse.apply(edit, current)
            whole = isinstance(edit, parse.WholeFile) and edit.path.endswith(".py")
            if whole and current and not python_code.keeps_definitions(current, text):
                text = python_code.merge(current, text)
            changed[edit.path] = text
        return changed

    def add_evidence(self, evidence: Evidence) -> None:
        self.evidence = evidence
        if evidence.wanted and evidence.wanted not in self.wanted:
            self.wanted = [*self.wanted, evidence.wanted][-_HINTS:]
        self.format_error = None

    def add_format_error(self, reason: str) -> None:
        self.format_error = (reason, self._answer)

    def _given_scaffold(self) -> Scaffold | None:
        task, current = self.task, self.original[self.task.files[0]]
        if task.lang != "python" or task.entry is None:
            return None
        in_file = scaffold_in_source(current, task.entry) if current else None
        return in_file or task.scaffold
