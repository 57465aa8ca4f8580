"""A real terminal (tmux): the screen is ours alone while we run, and the shell gets it back as it was."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tui.conftest import PLAN, RIGHT, TASK

ROOT = Path(__file__).parents[2]
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Tmux:
    """One tmux server with one session that runs `sh`."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self.socket = str(folder / "tmux")
        size = ("-x", str(width), "-y", str(height))
        self(
            "new-session", "-d", *size, "-c", str(folder), "env", "-i", "PS1=$ ", *_environment(folder), "sh"
        )

    def __call__(self, *arguments: str) -> str:
        command = ["tmux", "-f", "/dev/null", "-S", self.socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def type(self, text: str, *keys: str) -> None:
        self("send-keys", "-l", text)
        self("send-keys", *keys) if keys else None

    def paste(self, text: str) -> None:
        """A bracketed paste, as terminals send it."""
        self("set-buffer", text)
        self("paste-buffer", "-p")

    def screen(self) -> str:
        return self("capture-pane", "-p")

    def wait(self, *parts: str, gone: str = "", seconds: float = 30) -> str:
        """The screen once it holds all `parts` and no `gone`."""
        deadline = time.monotonic() + seconds
        screen = self.screen()
        while not all(part in screen for part in parts) or (gone and gone in screen):
            assert time.monotonic() < deadline, f"waited {seconds} s for {parts}; the screen:\n{screen}"
            time.sleep(0.1)
            screen = self.screen()
        return screen


def _environment(folder: Path) -> list[str]:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin:/usr/sbin:/sbin"
    values = {"PATH": path, "HOME": str(folder), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    values |= {"TRIHEAD_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    return [f"{name}={value}" for name, value in values.items()]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[int, int], Tmux]]:
    opened: list[Tmux] = []

    def open_terminal(width: int, height: int) -> Tmux:
        opened.append(Tmux(tmp_path, width, height))
        return opened[-1]

    yield open_terminal
    for tmux in opened:
        tmux("kill-server")


@needs_tmux
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_a_task_from_a_real_keyboard(
    terminal: Callable[[int, int], Tmux], tmp_path: Path, size: tuple[int, int]
) -> None:
    (tmp_path / "script.json").write_text(json.dumps([PLAN, RIGHT]))
    tmux = terminal(*size)
    tmux.type("stty -g > before; python -m tui --model scripted:script.json", "Enter")
    screen = tmux.wait("Trihead", "ready")
    assert all(len(row) <= size[0] for row in screen.splitlines())
    tmux.paste(TASK)
    tmux.wait("lower-case")
    tmux("send-keys", "Enter")
    screen = tmux.wait("Solved", "ready", "tokens per forward")
    assert ("DECODE" in screen) == (size[0] == 120)
    tmux("send-keys", "C-q")
    tmux.wait(gone="Quit")
    tmux.type("c=$?; stty -g > after; echo code=$c", "Enter")
    tmux.wait("code=0")
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()
    assert (tmp_path / "solution.py").is_file()


@needs_tmux
@pytest.mark.parametrize("signal", ["INT", "TERM", "HUP"])
def test_a_signal_leaves_the_terminal_sane(
    terminal: Callable[[int, int], Tmux], tmp_path: Path, signal: str
) -> None:
    (tmp_path / "script.json").write_text(json.dumps([PLAN]))
    tmux = terminal(80, 24)
    tmux.type(
        "stty -g > before; (sh -c 'echo $PPID' > pid; exec python -m tui --model scripted:script.json)",
        "Enter",
    )
    tmux.wait("Trihead", "ready")
    subprocess.run(["kill", f"-{signal}", (tmp_path / "pid").read_text().strip()], check=True)
    tmux.wait(gone="Quit")
    tmux.type("c=$?; stty -g > after; echo code=$c", "Enter")
    tmux.wait("code=0")
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()


NOISY = """
import os, subprocess, sys
from pathlib import Path
from tui.terminal import own_terminal
with own_terminal(Path(sys.argv[1])):
    os.write(2, b"from C\\n")
    subprocess.run(["echo", "from a child"])
    print("drawn", file=sys.__stderr__, flush=True)
    print("asked", sys.__stdout__.fileno() > 2, file=sys.__stderr__)
print("after")
"""


def test_noise_goes_to_the_log_and_the_app_keeps_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "tui.log"
    done = subprocess.run(
        [sys.executable, "-c", NOISY, str(log)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "after\n"
    assert done.stderr == "drawn\nasked True\n"
    assert log.read_text() == "from C\nfrom a child\n"
