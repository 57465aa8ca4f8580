"""The info bar: state, model, decode mode, device, context use, where we work. One row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.cells import cell_len
from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.text import clean_line, fit_left, home_path

State = Literal["loading", "ready", "running", "stopping", "error", "ended"]
STATES: dict[State, tuple[str, str, str]] = {
    "loading": ("◌", "loading model", "$text-warning"),
    "ready": ("●", "ready", "$text-success"),
    "running": ("▶", "running", "$text-primary"),
    "stopping": ("■", "stopping", "$text-warning"),
    "error": ("!", "no model", "$text-error"),
    "ended": ("!", "model ended", "$text-error"),
}


@dataclass(frozen=True, slots=True)
class Info:
    state: State = "loading"
    model: str = ""
    decode: str = ""
    device: str = ""
    context: int = 0
    context_tokens: int = 0
    queued: int = 0
    workdir: Path = Path()
    branch: str = ""


class InfoBar(Widget):
    info: reactive[Info] = reactive(Info())

    def render(self) -> RenderResult:
        info = self.info
        glyph, word, style = STATES[info.state]
        separator = (" │ ", "$foreground-disabled")
        width = self.content_size.width
        left: list[tuple[str, str]] = [(f"{glyph} {word}", f"bold {style}")]
        if info.queued:
            left += [(f" +{info.queued} queued", "$text-warning")]
        parts = [(clean_line(info.model), "$text"), (info.decode, "$text")]
        if info.context:
            parts += [(f"ctx {info.context_tokens:,}/{info.context // 1024}k", "$foreground-muted")]
        if info.device:
            parts += [(clean_line(info.device), "$foreground-muted")]
        used = sum(cell_len(text) for text, _ in left)
        for part in parts:  # whole, or not at all
            if (more := len(separator[0]) + cell_len(part[0])) <= width - used:
                left += [separator, part]
                used += more
        where = home_path(info.workdir) + (f" ({clean_line(info.branch)})" if info.branch else "")
        room = width - used - 3
        where = fit_left(where, room) if room > 8 else ""
        gap = " " * max(0, width - used - cell_len(where))
        return Content.assemble(*left, gap, (where, "$foreground-muted"))


def git_branch(folder: Path) -> str:
    """The branch checked out in `folder`, a short hash when detached, '' outside a repository."""
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        try:
            if git.is_file():  # a worktree or a submodule points to its folder
                git = (parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
            elif not git.is_dir():
                continue
            head = (git / "HEAD").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return head.removeprefix("ref: refs/heads/") if head.startswith("ref:") else head[:8]
    return ""
