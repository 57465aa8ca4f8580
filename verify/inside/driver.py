"""Runs trusted test source against a candidate that lives in another process.

HumanEval's `check(candidate)` loops, draws random inputs and calls helpers from the prompt, so it cannot be
turned into a list of cases. Here it runs unchanged; `candidate` is a proxy that sends encoded arguments over
the socket pair and decodes the answer with the strict codec. No candidate code ever runs in this process, and
the candidate's process holds neither the test source nor an expected value.

The driver's last frame tells the outcome: P passed, F an assertion or the test failed, U the test itself is
at fault, or a kind of `harness` (E, X, M, L, B) when the candidate's own failure ended it. N: the candidate
is gone.
"""

from __future__ import annotations

import array
import builtins
import marshal
import os
import sys
import types
from typing import Any

from verify.codec import CodecError, decode, encode
from verify.inside.confine import CTL
from verify.inside.harness import DETAIL, NONCE, seed_random
from verify.inside.wire import WireError, read_frame, write_frame


class CandidateError(Exception):
    """The candidate raised something that is not a builtin exception."""


class Ended(BaseException):
    """The candidate's answer ends the test; not an Exception, so a test cannot swallow it."""

    def __init__(self, kind: bytes, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Proxy:
    """Stands for the entry point in the test."""

    def __init__(self, fd: int, cap: int) -> None:
        self._fd = fd
        self._cap = cap
        self.calls = 0
        self.raised: BaseException | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            encoded = marshal.dumps((args, kwargs), 2)  # version 2: no shared references
        except ValueError as error:
            raise Ended(
                b"U", f"the test calls the candidate with a value that cannot be sent ({error})"
            ) from None
        self.calls += 1
        nonce = os.urandom(NONCE)
        try:
            write_frame(self._fd, nonce + b"\0" + encoded)
            frame = read_frame(self._fd, self._cap + NONCE + 1 + 4 * DETAIL)
        except (OSError, WireError):
            frame = None
        if frame is None:
            raise Ended(b"N", "the candidate's process ended, or sent no whole frame")
        if frame[:NONCE] != nonce:
            raise Ended(b"B", "an answer that belongs to no question")
        kind, payload = frame[NONCE : NONCE + 1], frame[NONCE + 1 :]
        try:
            if kind == b"V":
                return decode(payload)
            if kind == b"E":
                raise self._exception(decode(payload))
        except CodecError as error:
            raise Ended(b"B", f"an answer that does not decode: {error}") from None
        if kind not in (b"X", b"M", b"L", b"B"):
            raise Ended(b"B", "an answer of unknown kind")
        raise Ended(kind, payload.decode("utf-8", "replace")[:DETAIL])

    def _exception(self, answer: Any) -> BaseException:
        try:
            name, _, detail = answer
            known = getattr(builtins, name, None)
        except (TypeError, ValueError):
            raise Ended(b"B", "an exception that does not decode") from None
        if isinstance(known, type) and issubclass(known, Exception):
            try:
                self.raised = known(str(detail))
            except TypeError:  # UnicodeDecodeError and its like want more arguments
                self.raised = CandidateError(f"{name}: {detail}")
        else:
            self.raised = CandidateError(f"{name}: {detail}")
        return self.raised


def _receive_descriptor() -> int:
    import _socket

    channel = _socket.socket(fileno=CTL)
    space = _socket.CMSG_SPACE(array.array("i").itemsize)
    _, ancillary, _, _ = channel.recvmsg(1, space)
    channel.detach()
    return array.array("i", ancillary[0][2])[0]


def run_test(job: dict[str, Any]) -> None:
    """Run `prelude` and `test`, then `check(candidate)` if the test defined it, and report one frame."""
    nonce: bytes = job["nonce"]
    proxy = Proxy(_receive_descriptor(), job["limits"]["out_bytes"])
    seed_random(job["seed"])
    kind, detail = _outcome(job, proxy)
    if kind == b"P" and not proxy.calls:
        kind, detail = b"U", "the test never calls the candidate"
    write_frame(CTL, nonce + kind + encode((proxy.calls, detail[-DETAIL:])))


def _outcome(job: dict[str, Any], proxy: Proxy) -> tuple[bytes, str]:
    module = types.ModuleType("test")
    module.__dict__["__builtins__"] = builtins
    sys.modules["test"] = module
    try:
        exec(compile(job["prelude"], "prelude.py", "exec", dont_inherit=True), module.__dict__)
        module.__dict__[job["entry"]] = proxy
        exec(compile(job["test"], "test.py", "exec", dont_inherit=True), module.__dict__)
        module.__dict__[job["entry"]] = proxy
        check = module.__dict__.get("check")
        if callable(check):
            check(proxy)
    except Ended as error:
        return error.kind, str(error)
    except (NameError, ImportError, SyntaxError) as error:
        if error is proxy.raised:
            return b"E", f"{type(error).__name__}: {error}"
        return b"U", f"the test itself fails: {type(error).__name__}: {error}"
    except AssertionError as error:
        if error is proxy.raised:
            return b"E", f"AssertionError: {error}"
        return b"F", _where(error, "assertion failed")
    except BaseException as error:
        if error is proxy.raised:
            return b"E", f"{type(error).__name__}: {error}"
        return b"F", _where(error, f"the test ended with {type(error).__name__}: {error}")
    return b"P", ""


def _where(error: BaseException, what: str) -> str:
    """The line of the test that failed. It goes to the person who asked, never to the candidate's process."""
    line = 0
    frames = error.__traceback__
    while frames is not None:
        if frames.tb_frame.f_code.co_filename == "test.py":
            line = frames.tb_lineno
        frames = frames.tb_next
    return f"{what} (line {line} of the test)" if line else what
