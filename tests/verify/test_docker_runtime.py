"""Which runtime the docker backend starts containers with. No daemon: the answers of `docker` are made up."""

from __future__ import annotations

import json
import subprocess

import pytest

from verify import docker, docker_image
from verify.limits import Limits


class Started(Exception):
    """Carries the command line that would have been started."""


def started_line(monkeypatch: pytest.MonkeyPatch, runtimes: list[str]) -> list[str]:
    def popen(line: list[str], **_: object) -> None:
        raise Started(line)

    monkeypatch.setattr(docker, "_docker", lambda *words: json.dumps({name: {} for name in runtimes}))
    monkeypatch.setattr(docker_image, "find", lambda: "image")
    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(Started) as caught:
        docker.Docker().command(("-c", "pass"), Limits(), ())
    return list(caught.value.args[0])


def test_gvisor_is_used_when_the_daemon_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIHEAD_DOCKER_RUNTIME", raising=False)
    line = started_line(monkeypatch, ["runc", "runsc"])
    assert line[line.index("--runtime") + 1] == "runsc"


def test_gvisors_own_threads_fit_under_the_cap_on_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIHEAD_DOCKER_RUNTIME", raising=False)
    caps = []
    for runtimes in (["runc"], ["runsc"]):
        line = started_line(monkeypatch, runtimes)
        caps.append(int(line[line.index("--pids-limit") + 1]))
    assert caps[1] - caps[0] == docker.GVISOR_TASKS


def test_the_daemons_default_without_gvisor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIHEAD_DOCKER_RUNTIME", raising=False)
    assert "--runtime" not in started_line(monkeypatch, ["runc"])


def test_a_named_runtime_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHEAD_DOCKER_RUNTIME", "kata")
    line = started_line(monkeypatch, ["runc", "runsc"])
    assert line[line.index("--runtime") + 1] == "kata"
