"""One model call: the canvas while it decodes, then the answer under a heading with its figures."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from agent.events import ModelAnswered, ModelCalled, Phase
from model.request import Generation, Message, Step
from tui.canvas import Canvas
from tui.text import clean, duration, plural
from tui.widgets.block import Block
from tui.widgets.code import answer, highlight_code
from tui.widgets.denoise import DenoiseView

TITLES: dict[Phase, str] = {"plan": "Plan", "scaffold": "Scaffold", "infill": "Infill", "repair": "Rewrite"}

WAITING = "the model reads"
FIRST = "the model reads; a first answer on a device also measures it"


class CallBlock(Block):
    """first: none was answered before it; this one may take its time."""

    def __init__(self, event: ModelCalled, max_rows: int, live: bool = True, first: bool = False) -> None:
        self.phase = event.phase
        self.canvas = Canvas()
        self._given, self._language = _prefill(event.messages)
        self._view = DenoiseView(self.canvas, max_rows, self._given)
        self._view.display = live
        self._answer = Static(classes="answer", markup=False)
        self._answer.display = False
        self._decode_ms = 0.0
        super().__init__(
            "◆", TITLES[event.phase], self._view, self._answer, note=FIRST if first else WAITING, kind="live"
        )

    @property
    def is_live(self) -> bool:
        """Decoding, not yet answered."""
        return not self._answer.display

    def apply(self, step: Step) -> None:
        """Take one decoding step; nothing is drawn before `show`."""
        self.canvas.apply(step)
        self._decode_ms += step.ms

    def show(self) -> None:
        """Draw the canvas and its counter as they are now."""
        canvas = self.canvas
        parts = [canvas.head, f"step {canvas.steps}", plural(canvas.tokens, "token")]
        if canvas.masked:
            parts.append(f"{canvas.masked} masked")
        if canvas.steps:
            parts.append(f"{canvas.tokens / canvas.steps:.1f}/step")
        if self._decode_ms:
            parts.append(f"{canvas.tokens / self._decode_ms * 1000:.1f}/s")
        self.heading.note = " · ".join(part for part in parts if part)
        self._view.refresh_canvas()

    def finish(self, event: ModelAnswered) -> None:
        """Swap the canvas for the answer."""
        generation = event.generation
        self._show_answer(self._content(generation.text), figures(generation))

    def show_plan(self, text: str) -> None:
        """The plan as the loop understood it."""
        self._answer.update(Content(clean(text.strip("\n"))))

    def stop(self) -> None:
        """The call ended without an answer: keep what was committed."""
        if self.is_live:
            self._show_answer(self._content(self.canvas.text), f"stopped at step {self.canvas.steps}")

    def _content(self, text: str) -> Content:
        """The answer with what it continues; after an opened fence it is code, up to the fence's end."""
        text = (self._given + text).strip("\n")
        if self._language:
            return highlight_code(text.split("\n```")[0], self._language)
        return answer(text)

    def _show_answer(self, text: Content, note: str) -> None:
        self.heading.note = note
        self._answer.update(text)
        self._view.display = False
        self._answer.display = True
        self.set_kind("call")


def _prefill(messages: tuple[Message, ...]) -> tuple[str, str]:
    """What the answer continues (a trailing assistant message) and, when that opens a fence, its language."""
    if not messages or messages[-1].role != "assistant":
        return "", ""
    before, fence, rest = messages[-1].content.rpartition("```")
    if not fence or before.count("```") % 2:
        return messages[-1].content, ""
    language, _, code = rest.partition("\n")
    return code, language or "python"


def figures(generation: Generation) -> str:
    parts = [plural(generation.tokens, "token"), f"{generation.tokens_per_forward:.2f} per forward"]
    if generation.wall_s:
        parts.append(duration(generation.wall_s))
    if generation.finish_reason == "length":
        parts.append("cut at the token limit")
    elif generation.finish_reason == "cancelled":
        parts.append("interrupted")
    return " · ".join(parts)
