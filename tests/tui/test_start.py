"""What the first paint may cost: nothing that only a run needs is imported for it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "torch",
    "transformers",
    "pydantic",
    "pygments",
    "yaml",
    "httpx",
    "verify.checker",
    "agent.loop",
)


def test_the_app_is_imported_without_what_only_a_run_needs() -> None:
    code = f"import sys, tui.app, tui.screens.main; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_terminal_it_says_what_to_use() -> None:
    code = "import sys; from tui.app import run; sys.exit(run(model='tiny'))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "the app needs a terminal; use 'agent run TASK.md' in scripts and pipes\n"
