"""How a run ends that nothing solves: limits, cancelling, a sandbox or a model that breaks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.events import Done
from agent.loop import run
from agent.options import Options
from agent.task import RunLimits
from model.errors import RequestError
from model.request import GenerateRequest, Step
from model.scripted import ScriptedModel
from tests.agent.double import BAD, GOOD, go, kinds, task
from verify.checker import Checker, open_checker


def test_limits(workdir: Path, checker: Checker) -> None:
    wrong = [f"    return x - {i}\n" for i in range(9)]
    for options, what in (({"max_steps": 2}, "2 model calls"), ({"max_tokens": 10}, "10 tokens")):
        _, done = go(task(workdir), checker, *wrong, max_repairs=9, **options)
        assert (done.status, done.exit_code) == ("limit", 3)
        assert what in done.error
        assert done.tokens <= options.get("max_tokens", 100)
    _, done = go(task(workdir), checker, *wrong, timeout=1e-9)
    assert (done.status, done.exit_code, done.steps) == ("limit", 3, 0)
    assert not (workdir / "solution.py").exists()


def test_limits_of_the_task_give_way_to_flags() -> None:
    options = Options.merge(RunLimits(max_steps=3, timeout=5.0), timeout=None, max_steps=7)
    assert (options.max_steps, options.timeout, options.max_repairs) == (7, 5.0, 3)


def test_cancel_before_and_during(workdir: Path, checker: Checker) -> None:
    cancel = threading.Event()
    cancel.set()
    _, done = go(task(workdir), checker, GOOD, cancel=cancel)
    assert (done.status, done.exit_code, done.steps) == ("cancelled", 130, 0)
    cancel.clear()
    for event in run(task(workdir), ScriptedModel([BAD]), checker, Options(plan=False), cancel):
        if event.type == "verified":
            cancel.set()
    assert isinstance(event, Done)
    assert (event.status, event.steps) == ("cancelled", 1)
    assert not (workdir / "solution.py").exists()


def test_closing_the_iterator_early_puts_the_files_back(workdir: Path, checker: Checker) -> None:
    stream = run(task(workdir), ScriptedModel([BAD]), checker, Options(plan=False))
    for event in stream:
        if event.type == "edited":
            break
    assert (workdir / "solution.py").exists()
    stream.close()
    assert not (workdir / "solution.py").exists()


def test_no_bubblewrap(workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHEAD_BWRAP", str(tmp_path / "bwrap"))
    with open_checker("bubblewrap") as none:
        _, done = go(task(workdir), none, GOOD)
    assert (done.status, done.exit_code, done.steps) == ("error", 5, 0)
    assert str(tmp_path / "bwrap") in done.error
    assert "\n" not in done.error
    assert not (workdir / "solution.py").exists()


def test_user_namespaces_off(workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What bwrap says and does on a kernel that refuses new user namespaces.
    bwrap = tmp_path / "bwrap"
    bwrap.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo bubblewrap 0.11.0; exit 0; }\n'
        "echo 'bwrap: No permissions to create a new namespace, likely because the kernel does not allow"
        " non-privileged user namespaces.' >&2\nexit 1\n"
    )
    bwrap.chmod(0o755)
    monkeypatch.setenv("TRIHEAD_BWRAP", str(bwrap))
    with open_checker("bubblewrap") as none:
        _, done = go(task(workdir), none, GOOD)
    assert (done.status, done.exit_code, done.steps) == ("error", 5, 0)
    assert "namespace" in done.error


def test_a_sandbox_that_breaks_later(workdir: Path) -> None:
    with open_checker() as opened:
        opened.close()  # its verdicts are INTERNAL_ERROR from here on
        events, done = go(task(workdir), opened, GOOD, GOOD)
    assert (done.status, done.exit_code) == ("error", 5)
    assert kinds(events).count("verified") == 1
    assert not (workdir / "solution.py").exists()


class Broken(ScriptedModel):
    """Fails as an engine would: in the middle of an answer."""

    def __init__(self, error: Exception) -> None:
        super().__init__(["x"])
        self._error = error

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]:
        yield from list(super().generate(request, cancel))[:1]
        raise self._error


def test_errors_of_the_model_and_bugs(workdir: Path, checker: Checker) -> None:
    *_, done = run(task(workdir), Broken(RequestError("too long")), checker, Options(plan=False))
    assert isinstance(done, Done)
    assert (done.status, done.exit_code, done.error) == ("error", 4, "too long")
    stream = run(task(workdir), Broken(ZeroDivisionError("a bug")), checker, Options(plan=False))
    end = next(event for event in stream if isinstance(event, Done))
    assert "ZeroDivisionError: a bug" in end.error
    with pytest.raises(ZeroDivisionError):
        next(stream)
