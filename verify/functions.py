"""Function cases on a fork server: build the job, compare the answers, decide the status.

The server feeds one input at a time; here the outputs are decoded and compared (`verify.judge`). Expected
values never leave this process.
"""

from __future__ import annotations

import hashlib
import marshal
from dataclasses import dataclass
from typing import Any

from verify import codec, judge
from verify.admission import UnsupportedError, check_entry, check_source, limits_job
from verify.codec import CodecError, Node, encode
from verify.describe import describe
from verify.forkserver import ForkServer
from verify.outcome import DETAIL, KINDS, decide, last_line, verdict_of
from verify.request import Case, FunctionCheck
from verify.verdict import Status, Verdict


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the judge keeps of a case. It never leaves this process."""

    case: Case
    inputs: bytes
    expected: Node | None
    encoded: bytes = b""  # of `expected`; empty where the output alone does not decide


def function_check(request: FunctionCheck, server: ForkServer) -> Verdict:
    """Raises UnsupportedError for a request that cannot be judged, SandboxError when the sandbox breaks."""
    check_source(request.code, request.limits)
    check_entry(request.entry)
    wanted = _wanted(request)
    # An order that a candidate cannot know beforehand, yet the same in every run of this very check.
    seed = f"{request.seed}\0{request.entry}\0{request.code}".encode()
    keys = hashlib.shake_128(seed).digest(8 * len(wanted))
    order = sorted(range(len(wanted)), key=lambda index: keys[8 * index : 8 * index + 8])
    job = {
        "kind": "cases",
        "limits": limits_job(request.limits),
        "candidate": {"code": request.code, "entry": request.entry, "seed": request.seed},
        "cases": [(index, wanted[index].inputs) for index in order],
    }
    reply = server.call(job, request.limits)
    answers: list[bytes | None] = reply["answers"]
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
    status, detail = decide(reply, request.limits, first)
    passed = sum(flag is True for flag in flags)
    if status is Status.PASSED and passed != len(wanted):  # the check of checks: nothing passes by omission
        status, detail = Status.FAILED, "not every case was answered"
    return verdict_of(reply, request.limits, status, detail, flags, passed)


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


def _judge_answer(want: _Wanted, answer: bytes) -> tuple[tuple[Status, str] | None, Node | None]:
    """(fault or None, the decoded output) of one answer: a kind and a value."""
    kind, payload = answer[:1], answer[1:]
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
        return (Status.RUNTIME_ERROR, f"raised {last_line(text) or shown}"), None
    if kind != b"V":
        status = KINDS.get(kind, Status.BAD_OUTPUT)
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
        if ready is not None and ready[:1] != b"R":
            raise UnsupportedError(
                f"the oracle does not define accept(args, output): {ready[1:].decode()[-200:]}"
            )
        for (index, _), answer in zip(members, reply["answers"], strict=True):
            if answer not in (b"VT", b"VF"):
                why = reply["end"] if answer is None else answer[1:][-300:].decode("utf-8", "replace")
                raise UnsupportedError(f"the oracle of case {index} does not answer True or False: {why}")
            if answer == b"VF":
                rejected.add(index)
    return rejected


def _oracle_inputs(args: tuple[Any, ...], output: Node) -> bytes:
    """((args, output), {}) encoded, without ever building the untrusted output as a Python value here."""
    mark = encode(((tuple(args), None), {}))
    empty = encode({})
    assert mark.endswith(b"N" + empty)
    return mark[: -len(b"N" + empty)] + codec.emit(output) + empty
