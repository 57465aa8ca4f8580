"""Trusted test source on a fork server: the test in one process, the candidate in another."""

from __future__ import annotations

from verify import codec
from verify.admission import UnsupportedError, check_entry, check_source, limits_job
from verify.forkserver import ForkServer
from verify.outcome import DETAIL, KINDS, decide, last_line, verdict_of
from verify.request import TestSourceCheck
from verify.verdict import Status, Verdict


def test_source_check(request: TestSourceCheck, server: ForkServer) -> Verdict:
    """Raises UnsupportedError and SandboxError as `function_check` does."""
    check_source(request.code, request.limits)
    check_entry(request.entry)
    if not request.test.strip():
        raise UnsupportedError("no test source: nothing would be tested")
    job = {
        "kind": "test",
        "limits": limits_job(request.limits),
        "candidate": {"code": request.code, "entry": request.entry, "seed": request.seed},
        "test": {
            "prelude": request.prelude,
            "test": request.test,
            "entry": request.entry,
            "seed": request.seed,
        },
    }
    reply = server.call(job, request.limits)
    # Empty where the candidate never got ready, so that the test was not begun.
    outcome: bytes | None = reply["outcome"] or None
    first: tuple[Status, str] | None = None
    if outcome is not None:
        kind = outcome[:1]
        _, text = codec.decode(outcome[1:])
        if kind == b"N":
            reply["end"] = "exit"
        elif kind != b"P":
            first = (KINDS[kind], last_line(text) if kind == b"E" else text[:DETAIL])
    elif reply["end"] == "ok" and reply["ready"][:1] == b"R":
        return verdict_of(
            reply, request.limits, Status.INTERNAL_ERROR, "the test's driver gave no outcome", [None], 0
        )
    if outcome is None and reply["end"] in ("exit", "driver"):
        words = reply["driver_err"].decode("utf-8", "replace").strip()[-300:]
        if reply["ready"] is None and reply["end"] == "driver":
            return verdict_of(
                reply, request.limits, Status.INTERNAL_ERROR, f"the test's driver broke: {words}", [None], 0
            )
    status, detail = decide(reply, request.limits, first)
    if status is Status.PASSED and (outcome is None or outcome[:1] != b"P"):
        status, detail = Status.FAILED, "the test did not finish"
    passed = int(status is Status.PASSED)
    return verdict_of(reply, request.limits, status, detail, [bool(passed)], passed)
