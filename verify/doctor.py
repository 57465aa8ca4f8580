"""`verify doctor`: what works here, found by trying to break each claim rather than by looking for a binary.

    diagnose(["bubblewrap", "docker"])     # Finding after Finding

For each backend: does it start, then attacks on its claims (an escape of each kind from `verify.abuse`), then
the contract of `verify.self_check`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from verify.abuse.canary import Canary
from verify.abuse.case import read_all
from verify.abuse.runner import run_cases
from verify.backends import BACKENDS, make_sandbox
from verify.checker import open_checker
from verify.self_check import run_all

# claim -> the abuse cases that try to break it
CLAIMS = {
    "files outside cannot be read or written": ("file_read_secrets", "file_write_everywhere"),
    "checks do not see each other's files or memory": ("file_persist_between_checks", "memory_remanence"),
    "no process outlives its check": ("daemon_double_fork", "thread_outlives"),
    "other processes cannot be traced or signalled": ("ptrace_everyone", "signal_everyone"),
    "no network": ("network_sockets", "network_datagram_pair"),
    "no nested namespaces, mounts or capabilities": ("namespaces_nested", "mounts", "capabilities"),
    "seccomp filters raw system calls": ("ctypes_syscall", "syscall_x32", "sysv_ipc", "keyring"),
    "memory, processes, disk and output are capped": (
        "memory_list",
        "thread_bomb",
        "disk_fill",
        "stdout_flood",
    ),
    "results cannot be forged": ("forged_frame_replay", "eq_always_true", "frames_walk", "exit_zero_in_call"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `state` is ok, broken, missing (not usable here) or skipped."""

    backend: str
    claim: str
    state: str
    why: str = ""
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def diagnose(backends: tuple[str, ...] = BACKENDS, contract: bool = False) -> Iterator[Finding]:
    """Findings for each Python backend; with `contract` also every promise of the self check."""
    for name in backends:
        yield from _backend(name, contract)


def _backend(name: str, contract: bool) -> Iterator[Finding]:
    probe = make_sandbox(name, unsafe=True).probe()
    if not probe.works:
        yield Finding(name, "starts", "missing", probe.why, probe.remedy)
        return
    yield Finding(name, "starts", "ok", f"{probe.version}: {probe.isolation}")
    if name == "subprocess":
        remedy = "use --backend bubblewrap or docker; --unsafe is for programs you trust"
        yield Finding(name, "isolation", "skipped", "it claims none: programs run as you", remedy)
        return
    cases = {case.name: case for case in read_all("python")}
    with Canary() as canary, open_checker(name, jobs=1) as checker:
        for claim, names in CLAIMS.items():
            chosen = [cases[case] for case in names if cases[case].suits(name)]
            broken = [row for row in run_cases(chosen, checker, canary) if not row.ok]
            if not broken:
                yield Finding(name, claim, "ok", f"tried: {', '.join(case.name for case in chosen)}")
            for row in broken:
                why = "; ".join(row.problems) or f"{row.name} ended as {row.status}"
                yield Finding(name, claim, "broken", why, "do not use this backend for training; report it")
        if contract:
            for promise, state, why in run_all(checker):
                yield Finding(
                    name, promise.replace("_", " "), "skipped" if state == "excused" else state, why
                )


def bend_findings() -> Iterator[Finding]:
    """What `verify.bend.probe` says, in the same form."""
    try:
        from verify.bend import probe
    except ImportError:
        yield Finding("bend", "starts", "missing", "not part of this installation", "verify install bend")
        return
    for row in probe():
        yield Finding(
            str(row.backend), "starts", "ok" if row.works else "missing", str(row.why), str(row.remedy)
        )
