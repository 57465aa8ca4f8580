"""The keys: what the app binds, and what the help screen says of every key there is."""

from __future__ import annotations

from textual.binding import Binding, BindingType

BINDINGS: list[BindingType] = [
    Binding("escape", "interrupt", "Interrupt", tooltip="Stop the run within one decoding step"),
    Binding("f1", "show_help_screen", "Help", tooltip="Keys, commands and colours"),
    Binding("ctrl+p", "command_palette", "Commands", priority=True, tooltip="Search all commands"),
    Binding("ctrl+o", "toggle_details", "Details", tooltip="Fold or unfold all details"),
    Binding("ctrl+b", "screen.toggle_panel", "Panel", tooltip="Show or hide the side panel"),
    Binding("ctrl+q", "quit", "Quit", priority=True, tooltip="Stop what runs, and leave"),
    Binding("ctrl+c", "help_quit", show=False, system=True),
]
HELP = (
    ("Enter", "send the task (while one runs: queue it)"),
    ("Ctrl+J", "new line; Shift+Enter or Alt+Enter where the terminal tells them apart"),
    ("Up / Down", "earlier and later prompts, at the first and last line"),
    ("Tab", "complete a command; else the next block, Shift+Tab the one before"),
    ("Enter, Space", "on the heading of a block: fold or unfold it (or click it)"),
    ("Esc", "interrupt the run, within one decoding step; tasks that wait are taken back"),
    ("Ctrl+Q", "quit; a run in progress is stopped and put on record first"),
    ("Ctrl+C", "copy the selected text; interrupt a run; twice: quit"),
    ("Ctrl+P", "command palette (themes, models, decode modes)"),
    ("Ctrl+O", "fold or unfold all details"),
    ("Ctrl+B", "side panel (from 110 columns on)"),
    ("PgUp / PgDn", "scroll; in the transcript also j, k, g, G"),
    ("F1 or ?", "this help (? on an empty prompt); here Esc, F1, ? or q closes it"),
)
