"""Python checks on a fork server: build the job, read the reply, decide the status.

`function_check`, `test_source_check` and `program_check` take a request and a `ForkServer` and return a
`Verdict`. The server feeds one input at a time; here the answers are decoded and compared (`verify.judge`).

Which fault decides the status of a check with several: a whole-process end (timeout, flood, crash) first,
then the first failing case in the order of the request.
"""

from __future__ import annotations

import dataclasses
import hashlib
import marshal
import random
import signal
from dataclasses import dataclass
from typing import Any

from verify import codec, judge
from verify.codec import CodecError, Node, encode
from verify.describe import describe
from verify.forkserver import ForkServer
from verify.limits import Limits
from verify.request import Case, FunctionCheck, ProgramCheck, TestSourceCheck
from verify.verdict import Status, Verdict

DETAIL = 600
_KINDS = {
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


class UnsupportedError(Exception):
    """The request itself cannot be judged; the message becomes the detail of an UNSUPPORTED verdict."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the judge keeps of a case. It never leaves this process."""

    case: Case
    inputs: bytes
    expected: Node | None
    encoded: bytes = b""  # of `expected`; empty where the output alone does not decide


def limits_job(limits: Limits) -> dict[str, Any]:
    return {
        "wall_s": float(limits.wall_s),
        "cpu_s": float(limits.cpu_s),
        "mem_mb": int(limits.mem_mb),
        "out_bytes": int(limits.out_bytes),
        "processes": int(limits.processes),
        "disk_mb": int(limits.disk_mb),
    }


def check_source(code: str, limits: Limits) -> None:
    if "\0" in code:
        raise UnsupportedError("the code contains a NUL character")
    try:
        size = len(code.encode())
    except UnicodeEncodeError:
        raise UnsupportedError("the code is not valid Unicode (it has lone surrogates)") from None
    if size > limits.code_bytes:
        raise UnsupportedError(f"the code has {size} bytes, the limit is {limits.code_bytes}")


def check_entry(entry: str) -> None:
    if not entry.isidentifier():
        raise UnsupportedError(f"the entry point {entry!r} is not an identifier")


def function_check(request: FunctionCheck, server: ForkServer) -> Verdict:
    """Raises UnsupportedError for a request that cannot be judged, SandboxError when the sandbox breaks."""
    check_source(request.code, request.limits)
    check_entry(request.entry)
    wanted = _wanted(request)
    order = list(range(len(wanted)))
    # An order that a candidate cannot know beforehand, yet the same in every run of this very check.
    seed = hashlib.sha256(f"{request.seed}\0{request.entry}\0{request.code}".encode()).digest()
    random.Random(seed).shuffle(order)
    job = {
        "kind": "cases",
        "limits": limits_job(request.limits),
        "candidate": {"code": request.code, "entry": request.entry, "seed": request.seed},
        "cases": [(index, wanted[index].inputs) for index in order],
    }
    reply = server.call(job, request.limits)
    answers: list[tuple[bytes, bytes] | None] = reply["answers"]
    flags: list[bool | None] = [None] * len(wanted)
    first: tuple[Status, str] | None = None
    oracles: list[tuple[int, Node]] = []
    for index, (want, answer) in enumerate(zip(wanted, answers, strict=True)):
        if answer is None:
            continue
        fault, output = _judge_answer(want, answer)
        flags[index] = fault is None
        if fault is None and want.case.compare == "oracle" and output is not None:
            oracles.append((index, output))
        elif fault is not None and first is None:
            first = (fault[0], f"case {index}: {fault[1]}")
    rejected = _ask_oracles(request, wanted, oracles, server)
    for index in sorted(rejected):
        flags[index] = False
        if first is None or index < int(first[1].split(":")[0].removeprefix("case ")):
            first = (
                Status.FAILED,
                f"case {index}: the oracle rejects {describe(dict(oracles)[index])}",
            )
    status, detail = _decide(reply, request.limits, first)
    passed = sum(flag is True for flag in flags)
    if status is Status.PASSED and passed != len(wanted):  # the check of checks: nothing passes by omission
        status, detail = Status.FAILED, "not every case was answered"
    return _verdict(reply, request.limits, status, detail, flags, passed)


def _wanted(request: FunctionCheck) -> list[_Wanted]:
    cases = request.cases
    if not cases:
        raise UnsupportedError("no cases: nothing would be tested")
    if len(cases) > request.limits.cases:
        raise UnsupportedError(f"{len(cases)} cases, the limit is {request.limits.cases}")
    result = []
    for index, case in enumerate(cases):
        try:
            inputs = bytes((case.mutates,)) + marshal.dumps((tuple(case.args), case.kwargs), 2)
        except ValueError:
            raise UnsupportedError(f"case {index}: the arguments hold a value that cannot be sent") from None
        if case.compare == "oracle":
            if not case.oracle:
                raise UnsupportedError(f"case {index}: compare is oracle, but there is no oracle source")
            result.append(_Wanted(case, inputs, None))
            continue
        try:
            encoded = encode(case.expected)
            expected = codec.parse(encoded)
        except CodecError as error:
            raise UnsupportedError(f"case {index}: expected holds {error}") from None
        result.append(_Wanted(case, inputs, expected, encoded if case.raises is None else b""))
    return result


def _judge_answer(
    want: _Wanted, answer: tuple[bytes, bytes]
) -> tuple[tuple[Status, str] | None, Node | None]:
    """(fault or None, the decoded output) of one answer frame."""
    kind, payload = answer
    if kind == b"V" and payload == want.encoded:  # the very same bytes: equal in every kind of comparison
        return None, want.expected
    if kind == b"E":
        try:
            name, names, detail = codec.parse(payload)[1]
            shown, raised = str(name[1])[:100], [str(item[1]) for item in names[1]]
            text = str(detail[1])
        except (CodecError, TypeError, ValueError, IndexError):
            return (Status.BAD_OUTPUT, "an exception report that does not decode"), None
        if want.case.raises is not None:
            if want.case.raises in raised:
                return None, None
            return (Status.FAILED, f"raised {shown}, another exception is wanted"), None
        return (Status.RUNTIME_ERROR, f"raised {_last_line(text) or shown}"), None
    if kind != b"V":
        status = _KINDS.get(kind, Status.BAD_OUTPUT)
        if kind in b"CFPU":
            status = Status.BAD_OUTPUT  # kinds that only others may say
        return (status, payload[:DETAIL].decode("utf-8", "replace") or str(status)), None
    try:
        output = codec.parse(payload)
    except CodecError as error:
        return (Status.BAD_OUTPUT, f"an output that does not decode: {error}"), None
    if want.case.raises is not None:
        return (Status.FAILED, f"got {describe(output)}, an exception is wanted"), None
    if want.case.compare == "oracle":
        return None, output
    assert want.expected is not None
    expected = want.expected
    if want.case.mutates and expected[0] == codec.LIST and output[0] == codec.TUPLE:
        expected = (codec.TUPLE, expected[1])  # the arguments; JSON has no tuple to write them in
    if judge.matches(want.case, output, expected):
        return None, output
    return (Status.FAILED, judge.mismatch(output, expected)), None


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else ""


def _ask_oracles(
    request: FunctionCheck, wanted: list[_Wanted], answered: list[tuple[int, Node]], server: ForkServer
) -> set[int]:
    """Indexes whose oracle does not say True. Each distinct oracle runs in a fresh fork, after the candidate
    is dead.
    """
    rejected: set[int] = set()
    groups: dict[str, list[tuple[int, Node]]] = {}
    for index, output in answered:
        groups.setdefault(wanted[index].case.oracle or "", []).append((index, output))
    for source, members in groups.items():
        job = {
            "kind": "cases",
            "limits": limits_job(request.limits),
            "candidate": {"code": source, "entry": "accept", "seed": request.seed},
            "cases": [
                (place, b"\2" + _oracle_inputs(wanted[index].case.args, output))
                for place, (index, output) in enumerate(members)
            ],
        }
        reply = server.call(job, request.limits)
        ready = reply["ready"]
        if ready is not None and ready[0] != b"R":
            raise UnsupportedError(
                f"the oracle does not define accept(args, output): {ready[1].decode()[-200:]}"
            )
        for (index, _), answer in zip(members, reply["answers"], strict=True):
            if answer is None or answer[0] != b"V" or answer[1] not in (b"T", b"F"):
                why = reply["end"] if answer is None else answer[1][-300:].decode("utf-8", "replace")
                raise UnsupportedError(f"the oracle of case {index} does not answer True or False: {why}")
            if answer[1] == b"F":
                rejected.add(index)
    return rejected


def _oracle_inputs(args: tuple[Any, ...], output: Node) -> bytes:
    """((args, output), {}) encoded, without ever building the untrusted output as a Python value here."""
    mark = encode(((tuple(args), None), {}))
    empty = encode({})
    assert mark.endswith(b"N" + empty)
    return mark[: -len(b"N" + empty)] + codec.emit(output) + empty


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
    if isinstance(reply["ready"], bytes):
        reply["ready"] = (reply["ready"][:1], reply["ready"][1:])
    first: tuple[Status, str] | None = None
    if outcome is not None:
        kind = outcome[:1]
        _, text = codec.decode(outcome[1:])
        if kind == b"N":
            reply["end"] = "exit"
        elif kind != b"P":
            first = (_KINDS[kind], _last_line(text) if kind == b"E" else text[:DETAIL])
    elif reply["end"] == "ok" and reply["ready"][0] == b"R":
        return _verdict(
            reply, request.limits, Status.INTERNAL_ERROR, "the test's driver gave no outcome", [None], 0
        )
    if outcome is None and reply["end"] in ("exit", "driver"):
        words = reply["driver_err"].decode("utf-8", "replace").strip()[-300:]
        if reply["ready"] is None and reply["end"] == "driver":
            return _verdict(
                reply, request.limits, Status.INTERNAL_ERROR, f"the test's driver broke: {words}", [None], 0
            )
    status, detail = _decide(reply, request.limits, first)
    if status is Status.PASSED and (outcome is None or outcome[:1] != b"P"):
        status, detail = Status.FAILED, "the test did not finish"
    passed = int(status is Status.PASSED)
    return _verdict(reply, request.limits, status, detail, [bool(passed)], passed)


def _decide(reply: dict[str, Any], limits: Limits, first: tuple[Status, str] | None) -> tuple[Status, str]:
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
    if ready is not None and ready[0] != b"R":
        text = ready[1].decode("utf-8", "replace")
        status = _KINDS.get(ready[0], Status.BAD_OUTPUT) if ready[0] in b"CXM" else Status.BAD_OUTPUT
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


def _verdict(
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
    status, detail = _decide(reply, limits, None)
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
    verdict = _verdict(shown, request.limits, status, detail, flags, sum(flag is True for flag in flags))
    return dataclasses.replace(verdict, eval_ms=total_ms, max_rss_kb=rss_kb)


def _judge_run(stdout: str, exit_code: int, reply: dict[str, Any]) -> tuple[Status, str]:
    code = reply["status"] >> 8
    if code != exit_code:
        status = Status.RUNTIME_ERROR if exit_code == 0 else Status.FAILED
        words = _last_line(reply["err"].decode("utf-8", "replace"))
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


def check_files(files: dict[str, str], main: str, limits: Limits) -> None:
    if main not in files:
        raise UnsupportedError(f"the main file {main!r} is not among the files")
    for name, text in files.items():
        parts = name.split("/")
        if not name or name.startswith("/") or any(part in ("", ".", "..") for part in parts) or "\0" in name:
            raise UnsupportedError(f"the file name {name!r} is not a plain relative path")
        check_source(text, limits)
