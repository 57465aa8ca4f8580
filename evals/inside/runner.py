"""Runs inside the sandbox: call the candidate on many inputs and print, for each, a digest or the value.

Not imported; its text is the program. stdin is one marshalled dictionary: code, entry, inputs (or `coded`,
the codec's bytes, where inputs hold tuples, sets or complex numbers), mode (`digest`, `full`), view (`value`,
`set`, `notnone`), limit_s (CPU seconds a call), pause_s, longer (input -> its own limit), codec (source of
verify.codec).

stdout: first `+`, or `#` and why the code did not load. Then one line an input: 32 hex digits of the value's
digest, `=` and the encoded value in hex, `?` for no digest, `~` and why there is no value, `!` and an
exception, or, the last line then, `T` for the time limit in CPU seconds, `W` for that in wall time, `P` when
`pause_s` CPU seconds in all were over before an input. At the end `.` and the calls that took long, as
`input=CPU seconds` with commas between. The candidate's own stdin, stdout and stderr are /dev/null.

A digest is safe against forgery because the expected values are not here: to print the right digest a
candidate has to know the right value.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
import time
import types
from typing import Any

try:  # without the 5 ms that importing hashlib takes
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b


class OutOfTime(BaseException):
    """Its argument is the signal: SIGPROF for CPU time, SIGALRM for wall time."""


class NoValue(Exception):
    """A result that is no plain data."""


def on_timer(number: int, frame: object) -> None:
    raise OutOfTime(number)


def arm(seconds: float) -> None:
    """CPU time, and ten times as much wall time for code that waits."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * 10)


def disarm() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def one_line(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException:
        text = ""
    return (type(error).__name__ + ": " + text).replace("\n", " ")[:200]


def plain(value: Any, depth: int = 0) -> Any:
    """The value in exact built-in types where `==` would call them equal: subclasses, numpy scalars."""
    if depth > 90:
        raise NoValue("nested too deep")
    kind = type(value)
    if kind in (int, float, str, bool, complex, bytes) or value is None:
        return value
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    scalars: tuple[Any, ...] = (int, float, complex, bytes)
    for scalar in scalars:
        if isinstance(value, scalar):
            return scalar(value)
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return tuple(plain(item, depth + 1) for item in tuple.__iter__(value))
    if isinstance(value, (set, frozenset)):
        return {plain(item, depth + 1) for item in value}
    if isinstance(value, dict):
        return {plain(k, depth + 1): plain(v, depth + 1) for k, v in dict.items(value)}
    if kind.__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return plain(value.item(), depth + 1)
    raise NoValue("a value of type " + kind.__name__)


def main() -> None:
    job = marshal.loads(sys.stdin.buffer.read())
    results = os.fdopen(os.dup(1), "wb", 1 << 16)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)

    codec: dict[str, Any] = {"__name__": "codec"}
    if job["mode"] == "full" or "coded" in job:
        exec(compile(job["codec"], "codec", "exec"), codec)
    inputs = job.get("inputs")
    if inputs is None:
        inputs = codec["build"](codec["parse"](job["coded"]))
    full, view = job["mode"] == "full", job["view"]
    limit, longer = job["limit_s"], job["longer"]
    signal.signal(signal.SIGPROF, on_timer)
    signal.signal(signal.SIGALRM, on_timer)

    module = types.ModuleType("candidate")
    sys.modules["candidate"] = module
    try:
        arm(limit)
        exec(compile(job["code"], "candidate.py", "exec"), module.__dict__)
        function = module.__dict__[job["entry"]]
    except OutOfTime:
        results.write(b"T\n")
        results.flush()
        return
    except BaseException as error:
        results.write(("#" + one_line(error) + "\n").encode("utf-8", "replace"))
        results.flush()
        return
    finally:
        disarm()
    results.write(b"+\n")
    results.flush()

    write, flush, clock = results.write, results.flush, time.monotonic
    setitimer, prof, real = signal.setitimer, signal.ITIMER_PROF, signal.ITIMER_REAL
    dumps, blake = marshal.dumps, blake2b
    flushed = clock()
    cpu, slow = time.process_time, {}
    end = cpu() + job["pause_s"]
    for index, args in enumerate(inputs):
        before = cpu()
        if before > end:
            write(b"P\n")
            break
        seconds = longer.get(index, limit)
        try:
            setitimer(prof, seconds)
            setitimer(real, seconds * 10)
            value = function(*args)
            if view == "set":
                value = set(value)
            elif view == "notnone" and type(value) is not bool:
                value = value is not None
            if full:
                try:
                    line = b"=" + codec["encode"](plain(value), 4000000).hex().encode() + b"\n"
                except NoValue as error:
                    line = b"~" + one_line(error)[9:].encode("utf-8", "replace") + b"\n"
                except codec["TooLargeError"]:
                    line = b"~a value too large to compare\n"
            else:
                try:
                    # Version 2 has no references and no interning, so equal values give equal bytes.
                    line = blake(dumps(value, 2), digest_size=16).hexdigest().encode() + b"\n"
                except (ValueError, TypeError):
                    line = b"?\n"
            setitimer(prof, 0)
            setitimer(real, 0)
        except OutOfTime as out:
            write(b"T\n" if out.args == (signal.SIGPROF,) else b"W\n")
            break
        except BaseException as error:
            setitimer(prof, 0)
            setitimer(real, 0)
            line = ("!" + one_line(error) + "\n").encode("utf-8", "replace")
        write(line)
        if cpu() - before > 0.25:
            slow[index] = round(cpu() - before, 3)
        # Let go of a large value before the next call makes another.
        value = None
        if clock() - flushed > 0.2:
            flush()
            flushed = clock()
    else:
        write(b"." + ",".join(f"{i}={s}" for i, s in slow.items()).encode() + b"\n")
    flush()
    # The candidate's threads and exit handlers have no business any more.
    os._exit(0)


main()
