"""What a reply of the fork server means: the status of a whole check, and the verdict on it.

Which fault decides the status of a check with several: a whole-process end (timeout, flood, crash) first,
then the first failing case in the order of the request.
"""

from __future__ import annotations

import signal
from typing import Any

from verify.limits import Limits
from verify.verdict import Status, Verdict

DETAIL = 600
KINDS = {
    b"C": Status.COMPILE_ERROR,
    b"E": Status.RUNTIME_ERROR,
    b"X": Status.FAILED,
    b"M": Status.OOM,
    b"L": Status.OUTPUT_LIMIT,
    b"B": Status.BAD_OUTPUT,
    b"F": Status.FAILED,
    b"P": Status.PASSED,
    b"U": Status.UNSUPPORTED,
}


def last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else ""


def decide(reply: dict[str, Any], limits: Limits, first: tuple[Status, str] | None) -> tuple[Status, str]:
    """The status of a whole check from how the candidate's process ended and its first failing case."""
    end = reply["end"]
    code = reply["status"]
    killer = code & 0x7F
    if end == "flood":
        return Status.OUTPUT_LIMIT, f"printed more than {limits.out_bytes} bytes"
    if end == "huge":
        return Status.OUTPUT_LIMIT, f"the results are larger than the limit ({limits.out_bytes} bytes each)"
    if end == "timeout":
        return Status.TIMEOUT, f"no answer within {limits.wall_s:g} s"
    if end == "closed":
        return Status.FAILED, "closed the result channel"
    if end == "garbage":
        return Status.BAD_OUTPUT, "wrote to the result channel by itself"
    if end == "exit":
        if reply["oom"]:
            return Status.OOM, f"used more than {limits.mem_mb} MiB of memory"
        if killer in (signal.SIGKILL, signal.SIGXCPU) and reply["cpu_s"] >= 0.9 * limits.cpu_s:
            return Status.TIMEOUT, f"used more than {limits.cpu_s:g} s of CPU time"
        if killer:
            return Status.RUNTIME_ERROR, f"its process died of {_signal_name(killer)}"
        return Status.FAILED, f"left before it had answered (exit code {code >> 8})"
    ready = reply["ready"]
    if ready is not None and ready[:1] != b"R":
        text = ready[1:].decode("utf-8", "replace")
        status = KINDS[ready[:1]] if ready[:1] in (b"C", b"X", b"M") else Status.BAD_OUTPUT
        if status is Status.COMPILE_ERROR and "MemoryError" in text.rsplit("\n", 2)[-1]:
            status = Status.OOM
        return status, text.strip()[-DETAIL:]
    if reply["oom"]:
        return Status.OOM, f"used more than {limits.mem_mb} MiB of memory"
    if first is not None:
        return first
    return Status.PASSED, ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def verdict_of(
    reply: dict[str, Any],
    limits: Limits,
    status: Status,
    detail: str,
    flags: list[bool | None],
    passed: int,
) -> Verdict:
    out, err = reply["out"], reply["err"]
    return Verdict(
        status=status,
        passed=passed,
        total=len(flags),
        per_case=tuple(flags),
        detail=detail,
        compile_ms=reply.get("compile_ms"),
        eval_ms=reply["wall_ms"] - reply["compile_ms"] if "compile_ms" in reply else reply["wall_ms"],
        max_rss_kb=reply["rss_kb"],
        stdout=out.decode("utf-8", "replace"),
        stderr=err.decode("utf-8", "replace"),
        stdout_truncated=len(out) >= limits.out_bytes,
        stderr_truncated=len(err) >= limits.out_bytes,
    )
