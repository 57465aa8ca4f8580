"""Scripts on a fork server: a fresh process a case, judged by what it prints and its exit code."""

from __future__ import annotations

import dataclasses
from typing import Any

from verify import codec
from verify.admission import UnsupportedError, check_files, limits_job
from verify.describe import describe
from verify.forkserver import ForkServer
from verify.limits import Limits
from verify.outcome import decide, last_line, verdict_of
from verify.request import ProgramCheck
from verify.verdict import Status, Verdict


def program_run(
    files: dict[str, str], main: str, argv: tuple[str, ...], stdin: bytes, limits: Limits, server: ForkServer
) -> tuple[Status, str, dict[str, Any]]:
    """Run a script once: (PASSED when it ended by itself with any exit code, else why not; detail; reply)."""
    job = {
        "kind": "program",
        "limits": limits_job(limits),
        "program": {"files": files, "main": main, "argv": list(argv), "stdin": stdin, "seed": 0},
    }
    reply = server.call(job, limits)
    code = reply["status"]
    if reply["end"] == "exit" and not code & 0x7F and not reply["oom"]:
        return Status.PASSED, "", reply
    status, detail = decide(reply, limits, None)
    return status, detail, reply


def program_check(request: ProgramCheck, server: ForkServer) -> Verdict:
    """Raises UnsupportedError and SandboxError as `function_check` does."""
    if not request.cases:
        raise UnsupportedError("no cases: nothing would be tested")
    if len(request.cases) > request.limits.cases:
        raise UnsupportedError(f"{len(request.cases)} cases, the limit is {request.limits.cases}")
    check_files(request.files, request.main, request.limits)
    flags: list[bool | None] = [None] * len(request.cases)
    first: tuple[Status, str] | None = None
    shown: dict[str, Any] | None = None
    total_ms, rss_kb = 0.0, 0
    for index, case in enumerate(request.cases):
        status, detail, reply = program_run(
            request.files, request.main, case.argv, case.stdin.encode(), request.limits, server
        )
        total_ms += reply["wall_ms"]
        rss_kb = max(rss_kb, reply["rss_kb"])
        if status is Status.PASSED:
            status, detail = _judge_run(case.stdout, case.exit_code, reply)
        flags[index] = status is Status.PASSED
        if status is not Status.PASSED and first is None:
            first, shown = (status, f"case {index}: {detail}"), reply
        shown = shown or reply
        if status in (Status.TIMEOUT, Status.OOM, Status.OUTPUT_LIMIT):
            break  # the rest would most likely cost as much
    assert shown is not None
    status, detail = first or (Status.PASSED, "")
    verdict = verdict_of(shown, request.limits, status, detail, flags, sum(flag is True for flag in flags))
    return dataclasses.replace(verdict, eval_ms=total_ms, max_rss_kb=rss_kb)


def _judge_run(stdout: str, exit_code: int, reply: dict[str, Any]) -> tuple[Status, str]:
    code = reply["status"] >> 8
    if code != exit_code:
        status = Status.RUNTIME_ERROR if exit_code == 0 else Status.FAILED
        words = last_line(reply["err"].decode("utf-8", "replace"))
        return status, f"exit code {code}" + (f": {words}" if words else "")
    out = reply["out"].decode("utf-8", "replace")
    if tidy(out) == tidy(stdout):
        return Status.PASSED, ""
    return Status.FAILED, f"printed {describe((codec.STR, out))}"


def tidy(text: str) -> list[str]:
    """Lines without trailing whitespace, and without empty lines at the end."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines
