"""The side panel of wide terminals: the stages of the run, its figures, who decided the tokens, the files."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from tui.progress import GLYPHS, STAGES, Mark, Progress
from tui.text import clean_line, duration, fit_left, whole_seconds
from tui.widgets.denoise import HEAD_STYLES

_MARK_STYLES: dict[Mark, str] = {
    "todo": "$foreground-disabled",
    "active": "bold $text-primary",
    "done": "$text-success",
    "failed": "bold $text-error",
}
_BAR = 13
MAX_FILES = 6


class RunPanel(Widget):
    """Draws a `Progress`; redrawn by whoever feeds it."""

    progress: Progress | None = None
    _text = Content("")

    def show(self, progress: Progress | None) -> None:
        """Called with every frame; draws when something changed."""
        self.progress = progress
        if self.is_on_screen and self._draw().plain != self._text.plain:
            self.refresh()

    def render(self) -> RenderResult:
        self._text = self._draw()
        return self._text

    def _draw(self) -> Content:
        progress = self.progress or Progress()
        rows = [*_stages(progress), Content(""), *_figures(progress), Content(""), *_heads(progress)]
        if progress.files:
            rows += [Content(""), *_files(progress, self.content_size.width)]
        return Content("\n").join(rows)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 23 + MAX_FILES


def _title(text: str) -> Content:
    return Content.styled(text, "bold $foreground-muted")


def _stages(progress: Progress) -> list[Content]:
    rows = [_title("RUN")]
    for stage in STAGES:
        mark = progress.marks[stage]
        word = {"todo": "", "active": "now", "done": "", "failed": "failed"}[mark]
        if stage == "repair" and progress.repairs:
            word = f"{progress.repairs} {word}".strip()
        rows.append(
            Content.assemble(
                (f"{GLYPHS[mark]} {stage:<10}", _MARK_STYLES[mark]), (f" {word}", "$foreground-muted")
            )
        )
    return rows


def _figures(progress: Progress) -> list[Content]:
    figures = [
        ("tokens", f"{progress.tokens:,}"),
        ("forwards", f"{progress.forwards:,}"),
        ("tokens/forward", f"{progress.tokens_per_forward:.2f}" if progress.forwards else "–"),
        (
            "drafts kept",
            f"{progress.drafts.kept:,} of {progress.drafts.offered:,}" if progress.drafts.offered else "–",
        ),
        ("tokens/s", f"{progress.tokens_per_second:.1f}" if progress.tokens_per_second else "–"),
        ("elapsed", _elapsed(progress)),
    ]
    rows = [Content.assemble((f"{name:<15}", "$foreground-muted"), f"{value:>14}") for name, value in figures]
    return [_title("DECODE"), *rows]


def _elapsed(progress: Progress) -> str:
    if progress.done:
        return duration(progress.elapsed)
    return whole_seconds(progress.elapsed) if progress.calls else "–"


def _heads(progress: Progress) -> list[Content]:
    rows = [_title("HEADS")]
    total = sum(progress.heads.values())
    for head, style in HEAD_STYLES.items():
        count = progress.heads.get(head, 0)
        filled = round(_BAR * count / total) if total else 0
        if count and not filled:
            filled = 1
        bar = "█" * filled + "·" * (_BAR - filled)
        rows.append(
            Content.assemble(
                (f"{head:<10}", style), (bar, style if count else "$foreground-disabled"), f"{count:>6}"
            )
        )
    return rows


def _files(progress: Progress, width: int) -> list[Content]:
    rows = [_title("FILES")]
    shown = list(progress.files.items())[:MAX_FILES]
    rows += [
        Content.assemble((f"{sign} ", "bold $text-success"), fit_left(clean_line(path), width - 2))
        for path, sign in shown
    ]
    if len(progress.files) > MAX_FILES:
        rows.append(Content.styled(f"⋯ {len(progress.files) - MAX_FILES} more", "$foreground-muted"))
    return rows
