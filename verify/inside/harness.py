"""The candidate's side of a check: compile, call, encode. It shares its process with hostile code.

So it holds nothing worth stealing: no expected value, no other check, no descriptor but its own end of a
socket pair, on which it can only answer inputs it was really given. A frame back is the nonce of the frame it
answers, a kind and a payload:
    R ready    C does not compile or lacks the entry    V value    E raised    X asked to exit    M out of
    memory L too large to encode    B not encodable
"""

from __future__ import annotations

import builtins
import contextlib
import linecache
import marshal
import os
import sys
import traceback
import types
from typing import Any

from verify.codec import CodecError, TooLargeError, decode, encode
from verify.inside.confine import CTL
from verify.inside.wire import read_frame, write_frame

NONCE = 16
DETAIL = 2_000
FILENAME = "candidate.py"
MUTATES, ENCODED = 1, 2  # flags of a case frame: judge the arguments; inputs in the codec, not marshal


def seed_random(seed: int) -> None:
    if "random" in sys.modules:
        sys.modules["random"].seed(seed)


def run_candidate(job: dict[str, Any]) -> None:
    """Define the candidate, then answer case frames until the other end closes."""
    nonce: bytes = job["nonce"]
    limit: int = job["limits"]["out_bytes"]
    seed_random(job["seed"])
    try:
        entry = _define(job["code"], job["entry"])
    except SystemExit as error:
        return _reply(nonce, b"X", f"SystemExit({error.code!r}) while the module was run".encode()[:DETAIL])
    except MemoryError:
        return _reply(nonce, b"M", b"MemoryError while the module was run")
    except BaseException as error:
        return _reply(nonce, b"C", _explain(error)[2].encode("utf-8", "replace"))
    _reply(nonce, b"R", b"")
    while (frame := read_frame(CTL)) is not None:
        nonce = frame[:NONCE]
        kind, payload = _call(entry, frame[NONCE], frame[NONCE + 1 :], limit)
        _reply(nonce, kind, payload)
    return None


def _reply(nonce: bytes, kind: bytes, payload: bytes) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    write_frame(CTL, nonce + kind + payload)


def _define(source: str, entry: str) -> Any:
    linecache.cache[FILENAME] = (len(source), None, source.splitlines(True), FILENAME)
    module = types.ModuleType("candidate")
    module.__dict__["__builtins__"] = builtins
    sys.modules["candidate"] = module
    exec(compile(source, FILENAME, "exec", dont_inherit=True), module.__dict__)
    function = module.__dict__.get(entry)
    if not callable(function):
        raise NameError(  # noqa: TRY004  (the name is what is missing; it is shown to the writer of the code)
            f"the program does not define a callable {entry!r}"
        )
    return function


def _call(entry: Any, flags: int, encoded: bytes, limit: int) -> tuple[bytes, bytes]:
    try:
        args, kwargs = (decode if flags & ENCODED else marshal.loads)(encoded)
        result = entry(*args, **kwargs)
        return b"V", encode(tuple(args) if flags & MUTATES else result, limit)
    except TooLargeError as error:
        return b"L", str(error).encode()
    except CodecError as error:
        return b"B", str(error).encode("utf-8", "replace")[:DETAIL]
    except MemoryError:
        return b"M", b"MemoryError"
    except (SystemExit, KeyboardInterrupt) as error:
        return b"X", type(error).__name__.encode()
    except BaseException as error:
        return b"E", encode(_explain(error))


def _explain(error: BaseException) -> tuple[str, list[str], str]:
    """(class name, names of its bases, the last lines of the traceback without our own frames)."""
    names = [str(kind.__name__)[:200] for kind in type(error).__mro__[:20]]
    try:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != FILENAME:
            frames = frames.tb_next
        lines = traceback.format_exception(type(error), error, frames, limit=-4, chain=False)
        text = "".join(lines)
    except BaseException:
        text = names[0]
    if len(text) > DETAIL:
        text = "..." + text[-DETAIL:]
    return names[0], names, text.encode("utf-8", "replace").decode()


def run_program(job: dict[str, Any]) -> None:
    """Run a script as `__main__` from its own files in the scratch folder, as `python main.py` would."""
    import atexit
    import threading

    stdin = os.memfd_create("stdin")
    os.write(stdin, job["stdin"])
    os.lseek(stdin, 0, os.SEEK_SET)
    os.dup2(stdin, 0)
    os.close(stdin)
    folder = os.path.join(os.getcwd(), "program")
    for name, text in job["files"].items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    os.chdir(folder)
    path = os.path.join(folder, job["main"])
    sys.argv = [path, *job["argv"]]
    sys.path.insert(0, os.path.dirname(path))
    seed_random(job["seed"])
    os.close(CTL)
    code = 0
    try:
        with open(path, encoding="utf-8") as file:
            source = file.read()
        main = types.ModuleType("__main__")
        main.__file__ = path
        main.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = main
        exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            code = error.code or 0
        else:
            print(error.code, file=sys.stderr)
            code = 1
    except BaseException as error:
        frames = error.__traceback__
        frames = frames.tb_next if frames is not None else None
        sys.stderr.write("".join(traceback.format_exception(type(error), error, frames))[-100_000:])
        code = 1
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter itself does before it ends
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(code & 0xFF)
