"""What a request must be like to be judged at all, and the limits in the form that travels with a job."""

from __future__ import annotations

from typing import Any

from verify.limits import Limits


class UnsupportedError(Exception):
    """The request itself cannot be judged; the message becomes the detail of an UNSUPPORTED verdict."""


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


def check_files(files: dict[str, str], main: str, limits: Limits) -> None:
    if main not in files:
        raise UnsupportedError(f"the main file {main!r} is not among the files")
    for name, text in files.items():
        parts = name.split("/")
        if not name or name.startswith("/") or any(part in ("", ".", "..") for part in parts) or "\0" in name:
            raise UnsupportedError(f"the file name {name!r} is not a plain relative path")
        check_source(text, limits)
