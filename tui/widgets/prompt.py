"""The prompt: a multi-line text area that sends on Enter, remembers, and completes slash commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, TextArea

from tui.history import PromptHistory
from tui.slash import COMMANDS, matching
from tui.text import clean_line
from tui.widgets.info import State

MAX_QUEUE = 3
PLACEHOLDER = "Describe a task, or /run a task file"


class PromptArea(TextArea):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "New line", show=False),
        Binding("up", "earlier", "Earlier prompt", show=False),
        Binding("down", "later", "Later prompt", show=False),
        Binding("tab", "complete", "Complete", show=False),
        Binding("pageup", "scroll_transcript(-1)", "Scroll up", show=False),
        Binding("pagedown", "scroll_transcript(1)", "Scroll down", show=False),
    ]

    class Submitted(Message):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, history: PromptHistory) -> None:
        super().__init__(
            id="prompt", soft_wrap=True, compact=True, highlight_cursor_line=False, placeholder=PLACEHOLDER
        )
        self._history = history

    async def on_key(self, event: events.Key) -> None:
        """Enter sends and `?` on an empty prompt asks for help.

        Not priority bindings: those run ahead of the keys typed just before, and a fast typist's Enter would
        find the prompt still empty.
        """
        if event.key == "enter":
            event.stop().prevent_default()
            self.submit()
        elif event.key == "question_mark" and not self.text:
            event.stop().prevent_default()
            await self.run_action("app.show_help_screen")

    def submit(self) -> None:
        """Send what is typed, and remember it."""
        text = self.text.strip()
        if text:
            self._history.add(text)
            self.clear()
            self.post_message(self.Submitted(text))

    def action_newline(self) -> None:
        self.insert("\n")

    def action_earlier(self) -> None:
        if self.cursor_at_first_line:
            self._recall(self._history.previous(self.text))
        else:
            self.action_cursor_up()

    def action_later(self) -> None:
        if self.cursor_at_last_line:
            self._recall(self._history.next())
        else:
            self.action_cursor_down()

    def _recall(self, text: str | None) -> None:
        if text is not None:
            self.put(text)

    def put(self, text: str) -> None:
        """Replace what is typed; the cursor stands at the end."""
        self.load_text(text)
        self.move_cursor(self.document.end)
        self.focus()

    def action_complete(self) -> None:
        """Complete the slash command being typed; else Tab moves the focus as everywhere."""
        found = matching(self.text)
        if not found:
            self.screen.focus_next()
            return
        command = found[0]
        self.put(f"/{command.name} " if command.argument else f"/{command.name}")

    def action_scroll_transcript(self, direction: int) -> None:
        transcript = self.screen.query_one("#transcript")
        transcript.scroll_page_down() if direction > 0 else transcript.scroll_page_up()


EDGES: dict[State, tuple[str, str]] = {
    "loading": ("Loading model", "type ahead: it runs when the model is there"),
    "ready": ("Task", "Enter sends · Ctrl+J new line"),
    "running": ("Starting", "Esc interrupts · Enter queues"),
    "stopping": ("Stopping", "ends with this decoding step"),
    "error": ("No model", "/model NAME loads a model"),
    "ended": ("The model's process ended", "the next task starts it again"),
}


class PromptBox(Vertical):
    """The frame round the prompt. Its top edge says what is going on, its bottom edge what can be pressed."""

    def __init__(self, history: PromptHistory) -> None:
        super().__init__(id="prompt-box")
        self.area = PromptArea(history)
        self._hints = Static(id="slash-hints", markup=False)
        self._queue = Static(id="queue", markup=False)
        self._queued: list[str] = []
        self._edges = ("", "")

    def compose(self) -> ComposeResult:
        yield self._queue
        yield self._hints
        yield self.area

    def on_mount(self) -> None:
        self._hints.display = self._queue.display = False

    def on_text_area_changed(self, message: TextArea.Changed) -> None:
        found = matching(message.text_area.text)
        self._hints.display = bool(found)
        if found:
            width = max(len(command.usage) for command in COMMANDS) + 2
            rows = [
                Content.assemble(
                    (f"{command.usage:<{width}}", "$text-accent"), (command.help, "$foreground-muted")
                )
                for command in found
            ]
            self._hints.update(Content("\n").join(rows))

    def show_queue(self, tasks: Sequence[str]) -> None:
        """The tasks that wait for their turn, a line each."""
        rows = [f"{number}. {clean_line(task.strip())}" for number, task in enumerate(tasks, 1)]
        if len(rows) > MAX_QUEUE:
            rows = [*rows[: MAX_QUEUE - 1], f"\N{HORIZONTAL ELLIPSIS} {len(rows) - MAX_QUEUE + 1} more"]
        if rows != self._queued:
            self._queued = rows
            self._queue.display = bool(rows)
            self._queue.update(Content("\n").join(Content(f"waits  {row}") for row in rows))

    def show_state(self, state: State, stage: str, since: str) -> None:
        """What goes on (of a run its `stage`), for how long, and the key that matters now."""
        doing, can = EDGES[state]
        if state == "running" and stage:
            doing = stage.capitalize()
        title = doing if state in ("ready", "error", "ended") else f"{doing} · {since}"
        if (title, can) == self._edges:  # called with every frame
            return
        self._edges = title, can
        self.border_title, self.border_subtitle = title, can
        self.set_class(state == "running", "-running")
        self.set_class(state in ("loading", "stopping", "error", "ended"), "-warning")
